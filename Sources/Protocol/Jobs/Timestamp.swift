// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A moment in milliseconds since 1970, written as RFC 3339 in UTC (`2026-01-31T12:00:00.000Z`).
package struct Timestamp: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    package var milliseconds: Int64

    /// A moment from its milliseconds.
    package init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// The moment of a date.
    package init(_ date: Date) { milliseconds = Int64((date.timeIntervalSince1970 * 1000).rounded()) }

    /// This moment, by the wall clock.
    package static var now: Timestamp { Timestamp(Date()) }

    /// Reads RFC 3339 with or without fractional seconds; `nil` for anything else.
    package init?(_ text: String) {
        if let milliseconds = CivilTime.milliseconds(text) {
            self.init(milliseconds: milliseconds)
        } else if let date = try? Date(
            text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true))
        {
            self.init(date)
        } else if let date = try? Date(text, strategy: Date.ISO8601FormatStyle()) {
            self.init(date)
        } else {
            return nil
        }
    }

    /// The date.
    package var date: Date { Date(timeIntervalSince1970: Double(milliseconds) / 1000) }

    package var description: String {
        if let text = CivilTime.text(milliseconds) { return text }
        // The formatter cuts off what is below a millisecond: a quarter more keeps a rounded-down double from
        // losing one.
        return Date(timeIntervalSince1970: (Double(milliseconds) + 0.25) / 1000)
            .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }
    package static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.milliseconds < right.milliseconds
    }
}

extension Timestamp: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let time = Timestamp(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "a time is written as RFC 3339, such as 2026-01-31T12:00:00Z"
            )
        }
        self = time
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
