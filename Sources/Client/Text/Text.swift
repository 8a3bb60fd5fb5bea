// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Words and numbers for people.
package enum Text {
    /// `string` with everything that could steer a terminal, or reorder a line, made visible.
    package static func safe(_ string: String, keepingLines: Bool = false) -> String {
        guard !string.unicodeScalars.allSatisfy(isPlain) else { return string }
        var result = String.UnicodeScalarView()
        for scalar in string.unicodeScalars {
            if isPlain(scalar) || keepingLines && (scalar == "\n" || scalar == "\t") {
                result.append(scalar)
            } else {
                result.append(contentsOf: "\\u{\(String(scalar.value, radix: 16))}".unicodeScalars)
            }
        }
        return String(result)
    }

    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0: false
        // Marks that change the direction of text.
        case 0x200E...0x200F, 0x202A...0x202E, 0x2066...0x2069, 0x061C: false
        default: true
        }
    }

    /// `1.5 MiB`.
    package static func bytes(_ count: Int64) -> String {
        guard count >= 1024 else { return "\(count) B" }
        var value = Double(count)
        var unit = -1
        while value >= 1024, unit < 4 {
            value /= 1024
            unit += 1
        }
        return
            "\(fixed(value, value < 10 ? 2 : value < 100 ? 1 : 0)) \(["KiB", "MiB", "GiB", "TiB", "PiB"][unit])"
    }

    /// `value` with so many decimals.
    package static func fixed(_ value: Double, _ decimals: Int) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return value.isNaN ? "NaN" : "\(value)" }
        var scale = 1.0
        for _ in 0..<decimals { scale *= 10 }
        let scaled = (abs(value) * scale).rounded()
        let sign = value < 0 && scaled != 0 ? "-" : ""
        let whole = Int64((scaled / scale).rounded(.down))
        guard decimals > 0 else { return "\(sign)\(whole)" }
        let fraction = String(Int64(scaled - Double(whole) * scale))
        return "\(sign)\(whole)." + String(repeating: "0", count: max(0, decimals - fraction.count))
            + fraction
    }

    /// Four significant digits: figures of losses and rates.
    package static func figure(_ value: Double?) -> String {
        guard let value, value.isFinite else { return "–" }
        let size = abs(value)
        if size == 0 { return "0" }
        if size >= 1e6 || size < 1e-4 { return scientific(value) }
        return fixed(value, size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : size >= 1 ? 3 : 4)
    }

    private static func scientific(_ value: Double) -> String {
        var mantissa = value
        var exponent = 0
        while abs(mantissa) >= 9.995 {
            mantissa /= 10
            exponent += 1
        }
        while abs(mantissa) < 0.9995 {
            mantissa *= 10
            exponent -= 1
        }
        return "\(fixed(mantissa, 2))e\(exponent)"
    }

    /// `3.2 s`, `5 min 10 s`, `2 h 5 min`.
    package static func duration(_ seconds: Double) -> String {
        guard seconds.isFinite, seconds < 1e9 else { return "–" }
        if seconds < 10 { return "\(fixed(max(0, seconds), 1)) s" }
        let whole = Int(seconds.rounded())
        if whole < 60 { return "\(whole) s" }
        if whole < 3600 { return whole % 60 == 0 ? "\(whole / 60) min" : "\(whole / 60) min \(whole % 60) s" }
        if whole < 86400 { return "\(whole / 3600) h \(whole % 3600 / 60) min" }
        return "\(whole / 86400) d \(whole % 86400 / 3600) h"
    }

    /// How long ago, or in how long: `5 s ago`, `in 2 h`.
    package static func relative(_ time: Timestamp, to now: Timestamp = .now) -> String {
        let seconds = (now.milliseconds - time.milliseconds) / 1000
        let size = abs(seconds)
        let amount =
            size < 60
            ? "\(size) s"
            : size < 3600 ? "\(size / 60) min" : size < 86400 ? "\(size / 3600) h" : "\(size / 86400) d"
        return seconds < 0 ? "in \(amount)" : size < 1 ? "now" : "\(amount) ago"
    }

    /// `1 row`, `2 rows`.
    package static func count(_ number: some BinaryInteger, _ noun: String) -> String {
        "\(number) \(noun)\(number == 1 ? "" : "s")"
    }
}
