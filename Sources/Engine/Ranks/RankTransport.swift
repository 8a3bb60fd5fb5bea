// SPDX-License-Identifier: Apache-2.0

/// Moves bytes between the processes that do one job together. For use by one thread of each at a time.
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

    /// Whether calls may come from more than the first thread, one after another.
    var allowsThreads: Bool { get }

    /// Begins to send and receive; the bytes must stay where they are until that is done.
    ///
    /// Messages that are begun on one channel arrive in the order in which they were begun, and are not taken for those of another
    /// channel or of an exchange.
    func begin(
        on channel: RankChannel,
        sends: [(to: Int, bytes: UnsafeRawBufferPointer)],
        receives: [(from: Int, bytes: UnsafeMutableRawBufferPointer)]
    ) throws -> RankTransfer

    /// Moves things on, and tells whether all of a transfer is done, which then is forgotten.
    /// - Throws: What the transport has to say when a rank or the way to it is gone.
    func isDone(_ transfer: RankTransfer) throws -> Bool

    /// - Throws: What another rank has said that it failed of. Called by the first thread alone.
    func lookForFailures() throws
}

/// What begun messages are about: those of one channel do not get in the way of another's.
package enum RankChannel: Int, Sendable {
    /// Gradients that are summed at the end of a step (``GradientExchange``).
    case sums
    /// What a rank wants of another's parameters (``ParameterShards``), and what it gets.
    case requests
    case answers
    /// Which block's gradients follow, and these (``ShardedGradients``).
    case headers
    case gradients
}

/// What was begun and is not done.
package struct RankTransfer: Hashable, Sendable {
    /// The transport's own number for it.
    package let number: Int

    /// A transfer under a number.
    package init(number: Int) { self.number = number }
}
