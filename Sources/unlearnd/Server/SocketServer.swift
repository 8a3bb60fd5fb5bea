// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import NIOPosix
import Protocol
import ServiceLifecycle

/// Serves the control socket.
struct SocketServer: Service {
    var socket: ListeningSocket
    /// The loops that serve it; they go on when it ends.
    var loops: any EventLoopGroup
    var rules: LiveRoles
    var environment: ConnectionHandler.Environment
    /// Called once clients are accepted.
    var onReady: @Sendable () -> Void

    func run() async throws {
        let (environment, rules, limits) = (self.environment, self.rules, self.environment.limits)
        let server = try await ServerBootstrap(group: loops)
            .serverChannelOption(.backlog, value: 128)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(
                .writeBufferWaterMark, value: .init(low: limits.resumeBelow, high: limits.pauseAbove)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let credentials = try channel.pipeline.syncOperations.withUnsafeTransportIfAvailable {
                        (descriptor: NIOBSDSocket.Handle) in PeerCredentials(of: descriptor)
                    }
                    let found = credentials.flatMap(\.self)
                    guard let peer = found?.peer(by: rules.current) else {
                        try channel.pipeline.syncOperations.addHandler(
                            RefusalHandler(uid: found?.uid, refusals: environment.refusals))
                        return
                    }
                    try channel.pipeline.syncOperations.addHandlers([
                        UnfinishedLines(environment.registry, uid: peer.uid, patience: limits.line),
                        ByteToMessageHandler(LineDecoder()),
                        ConnectionHandler(environment, channel: channel, peer: peer),
                    ])
                }
            }
            .withBoundSocket(socket.descriptor).get()
        onReady()
        try? await gracefulShutdown()
        socket.remove()
        try? await server.close()
        environment.registry.stop()
        // What is under way may end and be answered; whoever does not read it is cut off.
        let end = NIODeadline.now() + limits.farewell
        while environment.registry.count > 0, NIODeadline.now() < end {
            try? await Task.sleep(for: .milliseconds(10))
        }
    }
}
