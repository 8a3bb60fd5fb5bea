// SPDX-License-Identifier: Apache-2.0

import Protocol
import Synchronization

/// Lets at most four reports a second through; the first and last of a phase always.
final class ProgressMeter: Sendable {
    private let last = Mutex<(time: ContinuousClock.Instant, phase: String)?>(nil)

    /// Whether a report is due.
    func admits(_ progress: JobProgress) -> Bool {
        let now = ContinuousClock.now
        return last.withLock { last in
            if let before = last, before.phase == progress.phase, progress.done != progress.total,
                now - before.time < .milliseconds(250)
            {
                return false
            }
            last = (now, progress.phase)
            return true
        }
    }
}
