// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol

/// The lock by which a starting daemon sees that a worker of its predecessor still lives.
enum LifeLock {
    /// Takes a shared lock that the kernel releases when this process is gone.
    /// - Throws: `JobFailure`, also when a daemon holds the lock exclusively because it is starting.
    static func hold(_ path: String) throws(JobFailure) {
        let descriptor = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0, flock(descriptor, LOCK_SH | LOCK_NB) == 0 else {
            throw JobFailure(.internal, "cannot hold the lock \(path): \(String(cString: strerror(errno)))")
        }
    }
}
