// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol

/// Ends a rank whose launcher is gone: only the first one has a standard input that would tell.
enum ParentWatch {
    private static let period: UInt32 = 200_000

    /// Begins to watch, on a thread of its own.
    static func begin() {
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { _ in
                let parent = getppid()
                while getppid() == parent, parent > 1 { usleep(ParentWatch.period) }
                _exit(ExitCode.tryAgain.rawValue)
            }, nil)
        if status == 0 { pthread_detach(thread) }
    }
}
