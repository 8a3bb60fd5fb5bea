// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// The process groups of the programs that run now.
final class RunningGroups: Sendable {
    private let groups = Mutex<Set<pid_t>>([])

    func insert(_ group: pid_t) { _ = groups.withLock { $0.insert(group) } }
    func remove(_ group: pid_t) { _ = groups.withLock { $0.remove(group) } }
    /// Ends them all.
    func kill() { groups.withLock { for group in $0 { Glibc.kill(-group, SIGKILL) } } }
}
