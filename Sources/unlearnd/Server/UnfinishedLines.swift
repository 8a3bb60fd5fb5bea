// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Protocol

/// Watches the lines that a client has begun: one that is not finished in time, or too much in all, ends the connection.
///
/// A client that drips bytes costs what it has sent so far; without this many of them could hold a full line each for ever.
final class UnfinishedLines: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// What is wrong with what a client has begun.
    enum Fault: Sendable {
        case tooSlow
        /// All of the user's connections together hold too much.
        case tooMuch
    }

    private let registry: ConnectionRegistry
    private let uid: UInt32
    private let patience: TimeAmount
    private var held = 0
    private var timer: Scheduled<Void>?

    /// - Parameter patience: How long a line may take from its first byte to its last.
    init(_ registry: ConnectionRegistry, uid: UInt32, patience: TimeAmount) {
        self.registry = registry
        self.uid = uid
        self.patience = patience
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data).readableBytesView
        let end = bytes.lastIndex(of: 0x0A)
        let now = end.map { bytes.distance(from: $0, to: bytes.endIndex) - 1 } ?? held + bytes.count
        let fits = registry.hold(now - held, uid: uid)
        held = now
        // A line that was finished is followed by another, which has its own time.
        if now == 0 || end != nil { stop() }
        if now > 0, timer == nil {
            let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
            timer = context.eventLoop.scheduleTask(in: patience) {
                bound.value.fireUserInboundEventTriggered(Fault.tooSlow)
            }
        }
        context.fireChannelRead(data)
        if !fits { context.fireUserInboundEventTriggered(Fault.tooMuch) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        stop()
        _ = registry.hold(-held, uid: uid)
        held = 0
        context.fireChannelInactive()
    }

    private func stop() {
        timer?.cancel()
        timer = nil
    }
}
