// SPDX-License-Identifier: Apache-2.0

/// Times as this software itself writes them, `2026-01-31T12:00:00.000Z`, with or without the fraction: read and written
/// without a general formatter, because a listing has hundreds of them.
///
/// Days are counted in the proleptic Gregorian calendar as Howard Hinnant describes
/// (“chrono-Compatible Low-Level Date Algorithms”): in years that begin in March, a leap day is the last of its year.
enum CivilTime {
    private static let day: Int64 = 86_400_000
    private static let daysInMonth: [Int64] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    /// The last millisecond of the year 9999.
    private static let end: Int64 = 253_402_300_799_999

    /// Milliseconds since 1970; `nil` for another form or a time that does not exist.
    static func milliseconds(_ text: String) -> Int64? {
        var text = text
        return text.withUTF8 { bytes -> Int64? in
            guard bytes.count == 20 || bytes.count == 24, bytes[bytes.count - 1] == UInt8(ascii: "Z") else {
                return nil
            }
            for (index, mark) in [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")]
                as [(Int, Unicode.Scalar)]
            where bytes[index] != UInt8(ascii: mark) { return nil }
            func number(_ range: Range<Int>) -> Int64? {
                var value: Int64 = 0
                for byte in bytes[range] {
                    guard byte >= 0x30, byte <= 0x39 else { return nil }
                    value = value * 10 + Int64(byte - 0x30)
                }
                return value
            }
            guard let year = number(0..<4), let month = number(5..<7), let date = number(8..<10),
                let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
                (1...12).contains(month), (1...daysInMonth[Int(month - 1)]).contains(date), hour < 24,
                minute < 60, second < 60,
                month != 2 || date < 29 || year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            else { return nil }
            var fraction: Int64 = 0
            if bytes.count == 24 {
                guard bytes[19] == UInt8(ascii: "."), let value = number(20..<23) else { return nil }
                fraction = value
            }
            let seconds = (hour * 60 + minute) * 60 + second
            return days(year, month, date) * day + seconds * 1000 + fraction
        }
    }

    /// The text of a moment of the years 1970 to 9999; `nil` for others.
    static func text(_ milliseconds: Int64) -> String? {
        guard (0...end).contains(milliseconds) else { return nil }
        let (days, rest) = milliseconds.quotientAndRemainder(dividingBy: day)
        let (year, month, date) = civil(days)
        let parts: [(value: Int64, digits: Int, mark: Unicode.Scalar)] = [
            (year, 4, "-"), (month, 2, "-"), (date, 2, "T"), (rest / 3_600_000, 2, ":"),
            (rest / 60_000 % 60, 2, ":"), (rest / 1000 % 60, 2, "."), (rest % 1000, 3, "Z"),
        ]
        return String(unsafeUninitializedCapacity: 24) { buffer in
            var position = 0
            for part in parts {
                var value = part.value
                for index in (position..<position + part.digits).reversed() {
                    buffer[index] = UInt8(0x30 + value % 10)
                    value /= 10
                }
                buffer[position + part.digits] = UInt8(ascii: part.mark)
                position += part.digits + 1
            }
            return position
        }
    }

    /// Days from 1970-01-01, for years from 0 on.
    private static func days(_ year: Int64, _ month: Int64, _ date: Int64) -> Int64 {
        // 400 years more, so that January and February of the year 0 count from a positive one.
        let shifted = year + 400 - (month <= 2 ? 1 : 0)
        let (era, inEra) = shifted.quotientAndRemainder(dividingBy: 400)
        let inYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + date - 1
        return (era - 1) * 146_097 + inEra * 365 + inEra / 4 - inEra / 100 + inYear - 719_468
    }

    /// The date of a day from 1970-01-01 on.
    private static func civil(_ days: Int64) -> (year: Int64, month: Int64, date: Int64) {
        let (era, inEra) = (days + 719_468).quotientAndRemainder(dividingBy: 146_097)
        let year = (inEra - inEra / 1460 + inEra / 36_524 - inEra / 146_096) / 365
        let inYear = inEra - (365 * year + year / 4 - year / 100)
        let month = (5 * inYear + 2) / 153
        let date = inYear - (153 * month + 2) / 5 + 1
        let january = month < 10 ? month + 3 : month - 9
        return (year + era * 400 + (january <= 2 ? 1 : 0), january, date)
    }
}
