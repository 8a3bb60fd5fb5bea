// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol
import Synchronization

/// A change that waits for the writer, and whoever waits for its outcome.
struct PendingChange: Sendable {
    /// What is known before the commit.
    struct Outcome {
        /// To be published after the commit; none where the change failed.
        var events: [Event]
        /// Why it failed.
        var failure: (any Error)?
        /// Answers whoever waits; with an error, if the commit failed.
        var answer: ((any Error)?) -> Void
    }

    /// Makes the change in an open transaction, all or nothing of it.
    let run: @Sendable (Database) -> Outcome
    /// Answers whoever waits that it was not tried.
    let refuse: @Sendable (any Error) -> Void
}

/// The changes that came while the writer was busy. They are committed together, so that many clients wait for one sync
/// of the disk instead of one after the other for one each (group commit).
final class PendingChanges: Sendable {
    /// Changes that one transaction may hold: the first of them waits for the last.
    static let most = 64

    private struct State {
        var changes: [PendingChange] = []
        /// Whether the writer was asked to come.
        var isCalled = false
    }

    private let state = Mutex(State())

    /// Adds a change.
    /// - Returns: Whether the writer must be called.
    func add(_ change: PendingChange) -> Bool {
        state.withLock {
            $0.changes.append(change)
            if $0.isCalled { return false }
            $0.isCalled = true
            return true
        }
    }

    /// The next changes in the order that they came.
    func take() -> [PendingChange] {
        state.withLock {
            let taken = Array($0.changes.prefix(Self.most))
            $0.changes.removeFirst(taken.count)
            return taken
        }
    }

    /// The writer is done with what it took.
    /// - Parameter rest: What it did not come to.
    /// - Returns: Whether it must come again.
    func done(_ rest: some Collection<PendingChange>) -> Bool {
        state.withLock {
            $0.changes.insert(contentsOf: rest, at: 0)
            $0.isCalled = !$0.changes.isEmpty
            return $0.isCalled
        }
    }
}
