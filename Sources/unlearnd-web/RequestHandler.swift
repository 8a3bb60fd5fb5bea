// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1
import NIOPosix
import Protocol

/// Answers the requests of one connection: GET and HEAD without a body, under a name of this machine.
final class RequestHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let hosts: HostRule
    private let pages: Pages
    private let pool: NIOThreadPool
    private var head: HTTPRequestHead?
    private var hasBody = false

    init(hosts: HostRule, pages: Pages, pool: NIOThreadPool) {
        self.hosts = hosts
        self.pages = pages
        self.pool = pool
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            hasBody = false
        case .body: hasBody = true
        case .end:
            guard let head else { return }
            self.head = nil
            answer(head, context)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent {
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func answer(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        guard head.method == .GET || head.method == .HEAD else {
            return write(.plain(405, "only GET and HEAD: nothing can be changed here"), head, context)
        }
        guard !hasBody else { return write(.plain(413, "a request here has no body"), head, context) }
        let named = head.headers["host"]
        guard named.count == 1, hosts.allows(named[0]) else {
            return write(.plain(421, "this server is asked as localhost; see --host"), head, context)
        }
        let path = String(head.uri.prefix { $0 != "?" && $0 != "#" })
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        pool.runIfActive(eventLoop: context.eventLoop) { [pages] in pages.page(path) }
            .whenComplete { result in
                let (handler, context) = bound.value
                let page = (try? result.get()) ?? .plain(503, "the server is stopping")
                handler.write(page, head, context)
            }
    }

    private func write(_ page: Page, _ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let body = context.channel.allocator.buffer(string: page.body)
        let keeps = head.isKeepAlive && !hasBody
        var headers: HTTPHeaders = [
            "Content-Type": page.type, "Content-Length": "\(body.readableBytes)",
            "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin",
            "Content-Security-Policy":
                "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            "Server": "unlearnd-web", "Connection": keeps ? "keep-alive" : "close",
        ]
        if let seconds = page.refresh { headers.add(name: "Refresh", value: "\(seconds)") }
        if page.status == 405 { headers.add(name: "Allow", value: "GET, HEAD") }
        let status = HTTPResponseStatus(statusCode: page.status)
        context.write(
            wrapOutboundOut(.head(HTTPResponseHead(version: head.version, status: status, headers: headers))),
            promise: nil)
        if head.method != .HEAD { context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil) }
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
            if !keeps { channel.close(promise: nil) }
        }
    }
}
