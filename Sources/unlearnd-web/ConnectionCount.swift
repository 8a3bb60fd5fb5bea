// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// How many connections there are, up to a limit.
final class ConnectionCount: Sendable {
    private let count = Mutex(0)
    private let most: Int

    init(most: Int) { self.most = most }

    /// Counts one more, unless there are enough.
    func enter() -> Bool {
        count.withLock {
            guard $0 < most else { return false }
            $0 += 1
            return true
        }
    }

    /// One has gone.
    func leave() { count.withLock { $0 -= 1 } }
}
