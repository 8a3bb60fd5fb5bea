// SPDX-License-Identifier: Apache-2.0

/// Some of a model's blocks, counted from 0 as checkpoints count them: `4-7`, or `0,2,8-11`.
package struct LayerSelection: Codable, Hashable, Sendable {
    /// How it is written.
    package static let rule = "layers are written as 4-7 or 0,2,8-11, counted from 0"

    /// The runs that were named, in the order they were named.
    package let ranges: [ClosedRange<Int>]

    /// Reads what ``text`` writes; `nil` for anything else.
    package init?(_ text: String) {
        var ranges: [ClosedRange<Int>] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map(Self.number)
            guard ends.count <= 2, let first = ends.first ?? nil, let last = ends.last ?? nil, first <= last
            else { return nil }
            ranges.append(first...last)
        }
        self.ranges = ranges
    }

    private static func number(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int(text),
            value < 1 << 20
        else { return nil }
        return value
    }

    /// As it is written.
    package var text: String {
        ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
            .joined(separator: ",")
    }

    /// Whether block `layer` is among them.
    package func contains(_ layer: Int) -> Bool { ranges.contains { $0.contains(layer) } }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let selection = Self(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: Self.rule)
        }
        self = selection
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}
