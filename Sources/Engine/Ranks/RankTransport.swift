// SPDX-License-Identifier: Apache-2.0

/// Moves bytes between the processes that do one job together. For use by one thread of each.
package protocol RankTransport: Sendable {
    /// This process among them, counted from 0.
    var rank: Int { get }
    /// How many there are.
    var count: Int { get }

    /// Sends and receives all of these, and returns when that is done.
    ///
    /// Messages from one rank to another arrive in the order in which they were sent. Both sides know the sizes.
    /// - Throws: What the transport has to say when a rank or the way to it is gone.
    func exchange(
        sends: [(to: Int, bytes: UnsafeRawBufferPointer)],
        receives: [(from: Int, bytes: UnsafeMutableRawBufferPointer)]
    ) throws
}
