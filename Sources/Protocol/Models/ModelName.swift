// SPDX-License-Identifier: Apache-2.0

/// The name of a model: 1 to 128 letters, digits, `.`, `_` or `-`, beginning with a letter or digit.
package struct ModelName: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The name's text.
    package let text: String

    /// A valid name, or `nil`.
    package init?(_ text: String) {
        let bytes = Array(text.utf8)
        func alphanumeric(_ byte: UInt8) -> Bool {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
        guard let first = bytes.first, alphanumeric(first), bytes.count <= 128,
            bytes.allSatisfy({ alphanumeric($0) || $0 == 0x2E || $0 == 0x5F || $0 == 0x2D })
        else { return nil }
        self.text = text
    }

    /// The rule that a name must meet, for error messages.
    package static let rule =
        "a model name has 1 to 128 letters, digits, '.', '_' or '-' and begins with a letter or digit"

    package var description: String { text }
    package static func < (left: ModelName, right: ModelName) -> Bool { left.text < right.text }
}

extension ModelName: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let name = ModelName(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "\(text.debugDescription): \(Self.rule)")
        }
        self = name
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}
