// SPDX-License-Identifier: Apache-2.0

/// The number of a version within its model, written `v1`, `v2`, …; never reused.
package struct VersionNumber: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// 1 or more.
    package let number: Int

    /// The version `number`; `nil` below 1.
    package init?(_ number: Int) {
        guard number >= 1 else { return nil }
        self.number = number
    }

    /// Reads `v3`; `nil` for anything else, also for `v03`.
    package init?(_ text: String) {
        guard text.hasPrefix("v"), let number = Int(text.dropFirst()), number >= 1, "v\(number)" == text
        else {
            return nil
        }
        self.number = number
    }

    package var description: String { "v\(number)" }
    package static func < (left: VersionNumber, right: VersionNumber) -> Bool { left.number < right.number }
}

extension VersionNumber: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let version = VersionNumber(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "a version is written v1, v2, …")
        }
        self = version
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
