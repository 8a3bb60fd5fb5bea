// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import Protocol

/// One client's connection: greeting, order of requests, metering of what goes out, half-closing.
///
/// Lives on its event loop; work runs in tasks that come back to it.
final class ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = LineDecoder.InboundOut
    typealias OutboundOut = ByteBuffer

    /// What all connections share.
    struct Environment: Sendable {
        var router: Router
        var control: ControlPlane
        var identity: DaemonIdentity
        var registry: ConnectionRegistry
        var refusals: RefusalLog
        var limits: ServerLimits
        var logger: Logger
    }

    /// A request that was not answered yet.
    struct Pending {
        var task: Task<Void, Never>
        /// Whether it counts towards the window.
        var isInBand: Bool
        /// Whether it goes on when the client is gone.
        var outlivesClient: Bool
    }

    let environment: Environment
    let channel: any Channel
    let peer: Peer
    /// The session, once there is one; its number is the connection's.
    var session = Session(number: 0, peer: Peer(uid: 0, gid: 0, pid: 0, role: .viewer))
    var isGreeted = false
    var pending: [RequestID: Pending] = [:]
    var subscriptions: [RequestID: Task<Void, Never>] = [:]
    var lastSubscription = 0
    /// The newest request that changes something: the next one waits for it.
    var lastMutation: Task<Void, Never>?
    private(set) var isStopping = false
    private(set) var isClosing = false
    private var inputEnded = false
    private var handshake: Scheduled<Void>?
    private var stall: Scheduled<Void>?
    /// Bytes given to the channel since the beginning.
    private var queued = 0
    /// Who waits for the client to read.
    private var waiters: [EventLoopPromise<Void>] = []

    init(_ environment: Environment, channel: any Channel, peer: Peer) {
        self.environment = environment
        self.channel = channel
        self.peer = peer
    }

    /// This handler for use from tasks that come back to the loop.
    var bound: NIOLoopBound<ConnectionHandler> { NIOLoopBound(self, eventLoop: channel.eventLoop) }

    func channelActive(context: ChannelHandlerContext) {
        let (bound, loop) = (self.bound, channel.eventLoop)
        do {
            let number = try environment.registry.enter(peer) { loop.execute { bound.value.stop() } }
            session = Session(number: number, peer: peer)
        } catch {
            return leave(with: error)
        }
        if let params = try? JSONValue(encoding: environment.identity.hello) {
            send(RPCMessage.notification(method: "hello", params: params))
        }
        let seconds = ProtocolLimits().handshake
        handshake = loop.scheduleTask(in: .seconds(Int64(seconds))) {
            guard !bound.value.isGreeted else { return }
            bound.value.leave(
                with: RPCError(.notInitialized, "no session.hello came within \(seconds) s of the greeting"))
        }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosing else { return }
        switch unwrapInboundIn(data) {
        case .line(let line):
            if !line.allSatisfy({ $0 == 0x20 || $0 == 0x09 }) { receive(line) }
        case .tooLong:
            leave(
                with: RPCError(
                    .lineTooLong, "a line has at most \(ProtocolLimits().line) bytes",
                    hint: "send large data with blob.chunk or as a descriptor"))
        case .unfinished:
            leave(
                with: RPCError(
                    .parseError, "the input ended within a line", hint: "end each request with a line feed"))
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed {
            inputEnded = true
            closeIfDone()
        }
        if let fault = event as? UnfinishedLines.Fault, !isClosing { leave(with: Self.error(fault)) }
        context.fireUserInboundEventTriggered(event)
    }

    private static func error(_ fault: UnfinishedLines.Fault) -> RPCError {
        switch fault {
        case .tooSlow:
            RPCError(
                .rateLimited, "a line took longer than a minute",
                hint: "send whole lines, and large data in chunks",
                retryAfter: 1000)
        case .tooMuch:
            RPCError(
                .queueFull, "this user's connections have begun too many long lines", hint: "end some first",
                retryAfter: 1000)
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        let isWritable = channel.isWritable
        try? channel.syncOptions?.setOption(.autoRead, value: isWritable && !isClosing)
        if isWritable {
            let all = waiters
            waiters = []
            for waiter in all { waiter.succeed() }
        }
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        isClosing = true
        handshake?.cancel()
        stall?.cancel()
        environment.registry.leave(session.number)
        for request in pending.values where !request.outlivesClient { request.task.cancel() }
        for subscription in subscriptions.values { subscription.cancel() }
        for waiter in waiters { waiter.fail(ChannelError.ioOnClosedChannel) }
        waiters = []
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    /// The handshake is done.
    func greet() {
        isGreeted = true
        handshake?.cancel()
    }

    /// Sends one line and watches how much waits for the client.
    func send(_ line: [UInt8]) {
        guard channel.isActive, !isClosing else { return }
        queued += line.count
        channel.writeAndFlush(ByteBuffer(bytes: line), promise: nil)
        if unread > environment.limits.closeAbove {
            environment.logger.warning("a client reads too slowly: \(unread) bytes wait", metadata: metadata)
            channel.close(promise: nil)
        } else if unread > 0, stall == nil {
            watchForStall()
        }
    }

    /// Sends a line of a stream; the future comes true when the client wants the next one.
    func sendPaced(_ line: [UInt8]) -> EventLoopFuture<Void> {
        send(line)
        guard channel.isActive, !isClosing else {
            return channel.eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
        }
        guard !channel.isWritable else { return channel.eventLoop.makeSucceededVoidFuture() }
        let promise = channel.eventLoop.makePromise(of: Void.self)
        waiters.append(promise)
        return promise.futureResult
    }

    /// Closes once the client has sent all it will and has its answers.
    func closeIfDone() {
        if inputEnded || isStopping, pending.isEmpty, subscriptions.isEmpty { closeAfterFlush() }
    }

    /// Sends an error that belongs to no request, and closes.
    func leave(with error: RPCError, id: RequestID? = nil) {
        send(RPCMessage.failure(id: id, error))
        closeAfterFlush()
    }

    private func stop() {
        isStopping = true
        for subscription in subscriptions.values { subscription.cancel() }
        closeIfDone()
    }

    private func closeAfterFlush() {
        guard !isClosing else { return }
        isClosing = true
        let channel = self.channel
        channel.writeAndFlush(ByteBuffer()).whenComplete { _ in channel.close(promise: nil) }
    }

    /// Bytes that the client has not taken yet.
    private var unread: Int { (try? channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0 }

    private var metadata: Logger.Metadata {
        ["session": "\(session.number)", "uid": "\(peer.uid)", "pid": "\(peer.pid)"]
    }

    /// Closes the connection when the client takes nothing for too long.
    private func watchForStall() {
        let (bound, taken) = (self.bound, queued - unread)
        stall = channel.eventLoop.scheduleTask(in: environment.limits.stuck) {
            let handler = bound.value
            handler.stall = nil
            guard handler.unread > 0 else { return }
            guard handler.queued - handler.unread == taken else { return handler.watchForStall() }
            handler.environment.logger.warning(
                "a client reads nothing: \(handler.unread) bytes wait", metadata: handler.metadata)
            handler.channel.close(promise: nil)
        }
    }
}
