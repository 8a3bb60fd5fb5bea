// SPDX-License-Identifier: Apache-2.0

/// Factors for the layers of a network, written as `0-3=0.5,4-=1`.
package struct LayerScales: Hashable, Sendable, CustomStringConvertible {
    /// Layers with one factor.
    package struct Span: Hashable, Sendable {
        package var first: Int
        /// `nil` reaches to the last layer.
        package var last: Int?
        package var factor: Double
    }

    /// In the order they were written; of several that hold a layer the last one counts.
    package let spans: [Span]

    /// How it is written, for messages.
    package static let rule =
        "layer factors are written as 0-3=0.5,4-=1: a layer or a range of layers, counted from 0, and its factor"

    /// Reads `text`; `nil` if it is not written by the ``rule``.
    package init?(_ text: String) {
        var spans: [Span] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let sides = part.split(separator: "=", omittingEmptySubsequences: false)
            guard sides.count == 2, let factor = Double(sides[1]), factor.isFinite else { return nil }
            let ends = sides[0].split(separator: "-", omittingEmptySubsequences: false)
            guard let start = ends.first, let first = Self.layer(start), ends.count <= 2 else { return nil }
            var last: Int? = first
            if ends.count == 2 {
                if ends[1].isEmpty {
                    last = nil
                } else {
                    guard let end = Self.layer(ends[1]), end >= first else { return nil }
                    last = end
                }
            }
            spans.append(Span(first: first, last: last, factor: factor))
        }
        self.spans = spans
    }

    private static func layer(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.count <= 6, text.utf8.allSatisfy({ (48...57).contains($0) }) else {
            return nil
        }
        return Int(text)
    }

    /// The factor of a tensor: that of the layer in its name; 1 for one without a layer, or of a layer that is not
    /// mentioned.
    package func factor(ofTensor name: String) -> Double {
        guard let layer = Self.layer(ofTensor: name) else { return 1 }
        return spans.last { layer >= $0.first && layer <= $0.last ?? Int.max }?.factor ?? 1
    }

    /// The layer that a tensor's name tells: the first part between dots that is a number, as in `model.layers.3.mlp…`
    /// and `transformer.h.3.mlp…`.
    package static func layer(ofTensor name: String) -> Int? {
        name.split(separator: ".").lazy.compactMap(Self.layer).first
    }

    package var description: String {
        spans.map { span in
            let end = span.last.map { $0 == span.first ? "" : "-\($0)" } ?? "-"
            return "\(span.first)\(end)=\(span.factor)"
        }.joined(separator: ",")
    }
}
