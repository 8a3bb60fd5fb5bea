// SPDX-License-Identifier: Apache-2.0

import Client
import NIOCore
import NIOHTTP1
import NIOPosix
import UnixSignals

/// Listens, and answers each connection's requests one after the other.
struct WebServer {
    let address: LoopbackAddress
    let hosts: HostRule
    let pages: Pages

    /// Why nothing can be served.
    struct Failure: Error {
        var message: String
    }

    /// Most connections at a time; more are closed at once.
    private static let mostConnections = 64
    /// How long a connection may say nothing, or take for a request.
    private static let patience = TimeAmount.seconds(15)

    /// Serves until SIGTERM or SIGINT.
    /// - Throws: ``Failure`` when the address cannot be listened on.
    func run() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        // The daemon is asked with blocking calls, a few pages at a time.
        let pool = NIOThreadPool(numberOfThreads: 4)
        pool.start()
        let connections = ConnectionCount(most: Self.mostConnections)
        let (hosts, pages) = (self.hosts, self.pages)
        let channel: any Channel
        do {
            channel = try await ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 64)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelInitializer { channel in
                    guard connections.enter() else { return channel.close() }
                    channel.closeFuture.whenComplete { _ in connections.leave() }
                    return channel.eventLoop.makeCompletedFuture {
                        let pipeline = channel.pipeline.syncOperations
                        try pipeline.addHandler(IdleStateHandler(allTimeout: Self.patience))
                        try pipeline.configureHTTPServerPipeline(
                            withPipeliningAssistance: true, withErrorHandling: true)
                        try pipeline.addHandler(RequestHandler(hosts: hosts, pages: pages, pool: pool))
                    }
                }
                .bind(host: address.host, port: address.port).get()
        } catch {
            try? await pool.shutdownGracefully()
            try? await group.shutdownGracefully()
            throw Failure(
                message:
                    "cannot listen on \(address): \(Self.words(error)); choose another port with --listen")
        }
        WebProgram.say(
            "unlearnd-web listens on http://\(LoopbackAddress.text(address, channel.localAddress?.port))/")
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        for await _ in signals { break }
        try? await channel.close()
        try await group.shutdownGracefully()
        try await pool.shutdownGracefully()
    }

    private static func words(_ error: any Error) -> String {
        (error as? IOError).map { SystemFailure(number: $0.errnoCode).description } ?? "\(error)"
    }
}
