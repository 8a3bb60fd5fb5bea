// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

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
