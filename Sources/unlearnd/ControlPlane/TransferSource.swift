// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Where a job's file descriptors come from.
package protocol TransferSource: Sendable {
    /// Hands over the descriptors of a complete transfer; from then on the caller owns and closes them.
    ///
    /// - Returns: The files' relative paths and their open descriptors, in the same order.
    /// - Throws: `not_found` for an unknown transfer or one of another user, `conflict` for an incomplete one.
    func take(_ transfer: String, peer: Peer) async throws(RPCError) -> (
        files: [String], descriptors: [Int32]
    )
}
