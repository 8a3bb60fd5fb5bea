// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A moment on the clock that only goes forward.
package struct Deadline: Hashable, Sendable {
    private var moment: Double

    /// The moment `seconds` from now.
    package init(in seconds: Double) { moment = Self.now + seconds }

    /// Seconds left, not below 0.
    package var remaining: Double { max(0, moment - Self.now) }
    package var isOver: Bool { remaining == 0 }

    /// Waits for it.
    package func sleep() { usleep(UInt32(min(remaining, 60) * 1e6)) }

    /// Seconds on `CLOCK_MONOTONIC`.
    package static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// The sooner of two moments, where `nil` is never.
    package static func sooner(_ left: Deadline?, _ right: Deadline?) -> Deadline? {
        guard let left else { return right }
        guard let right else { return left }
        return left.moment < right.moment ? left : right
    }
}
