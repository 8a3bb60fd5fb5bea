// SPDX-License-Identifier: Apache-2.0

import CLinux
import Dispatch
import Synchronization

/// Gives back what a busy time has needed, once it is over: caches of the database and what malloc keeps.
///
/// While nothing happens nothing wakes: the timer is set by use, and ends after a quiet while.
final class MemoryTrim: Sendable {
    /// How long it is quiet before memory is given back.
    private static let quiet = 5.0

    private struct State {
        var isArmed = false
        var lastUse = ContinuousClock.now
    }

    private let state = Mutex(State())
    private let release: @Sendable () -> Void

    /// - Parameter release: Empties caches.
    init(release: @escaping @Sendable () -> Void) { self.release = release }

    /// Something was done that may have taken memory.
    func used() {
        let mustArm = state.withLock { state in
            state.lastUse = .now
            defer { state.isArmed = true }
            return !state.isArmed
        }
        if mustArm { arm() }
    }

    private func arm() {
        DispatchQueue.global(qos: .utility).asyncAfter(deadline: .now() + Self.quiet) { [weak self] in
            self?.look()
        }
    }

    private func look() {
        let isQuiet = state.withLock { state in
            guard ContinuousClock.now - state.lastUse >= .seconds(Self.quiet * 0.9) else { return false }
            state.isArmed = false
            return true
        }
        guard isQuiet else { return arm() }
        release()
        cl_trim_memory()
    }
}
