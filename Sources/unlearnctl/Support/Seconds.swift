// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc

/// A length of time as options write it: `90s`, `5m`, `2h`, `3d`; a bare number counts seconds.
struct Seconds: Hashable, Sendable, ExpressibleByArgument {
    var value: Double

    init(_ value: Double) { self.value = value }

    init?(argument: String) {
        let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86400]
        let unit = argument.last.flatMap { units[$0] }
        let digits = unit == nil ? argument[...] : argument.dropLast()
        guard let number = Double(digits), number.isFinite, number >= 0,
            digits.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") })
        else { return nil }
        value = number * (unit ?? 1)
    }
}

/// A moment on the clock that only goes forward.
struct Deadline: Hashable, Sendable {
    private var moment: Double

    /// The moment `seconds` from now.
    init(in seconds: Double) { moment = Self.now + seconds }

    /// Seconds left, not below 0.
    var remaining: Double { max(0, moment - Self.now) }
    var isOver: Bool { remaining == 0 }

    /// Waits for it.
    func sleep() { usleep(UInt32(min(remaining, 60) * 1e6)) }

    /// Seconds on `CLOCK_MONOTONIC`.
    static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// The sooner of two moments, where `nil` is never.
    static func sooner(_ left: Deadline?, _ right: Deadline?) -> Deadline? {
        guard let left else { return right }
        guard let right else { return left }
        return left.moment < right.moment ? left : right
    }
}
