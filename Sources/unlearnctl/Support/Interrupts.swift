// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Holds back SIGINT, SIGTERM and SIGHUP while something must be ended in order, and tells whether one came.
///
/// The signals stay pending, so no handler runs and nothing has to be safe inside one.
final class Interrupts {
    private var previous = sigset_t()
    private var watched = sigset_t()

    /// Begins to hold them back.
    init() {
        sigemptyset(&watched)
        for signal in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&watched, signal) }
        pthread_sigmask(SIG_BLOCK, &watched, &previous)
    }

    /// Whether a signal came; stays true.
    var isPending: Bool {
        var pending = sigset_t()
        guard sigpending(&pending) == 0 else { return false }
        return [SIGINT, SIGTERM, SIGHUP].contains { sigismember(&pending, $0) == 1 }
    }

    deinit {
        // What came was answered: take it away before it can strike.
        var now = timespec()
        while isPending, sigtimedwait(&watched, nil, &now) > 0 {}
        pthread_sigmask(SIG_SETMASK, &previous, nil)
    }
}
