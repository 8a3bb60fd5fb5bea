// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Protocol

/// Tells a user who is not served so, and hangs up.
final class RefusalHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let uid: UInt32?
    private let refusals: RefusalLog

    /// - Parameter uid: The user; `nil` when the kernel does not say who it is.
    init(uid: UInt32?, refusals: RefusalLog) {
        self.uid = uid
        self.refusals = refusals
    }

    func channelActive(context: ChannelHandlerContext) {
        refusals.refused(uid, "connect", .permissionDenied)
        let who = uid.map { "user \($0)" } ?? "an unknown user"
        let line = RPCMessage.failure(
            id: nil,
            RPCError(
                .permissionDenied, "\(who) is not served by this daemon",
                hint: "it serves the user who started it, and root"))
        let channel = context.channel
        channel.writeAndFlush(ByteBuffer(bytes: line)).whenComplete { _ in channel.close(promise: nil) }
    }
}
