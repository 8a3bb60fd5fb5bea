// SPDX-License-Identifier: Apache-2.0

/// A part of the network that can be switched off by its output weights alone.
package struct AblationUnit: Hashable, Sendable, Comparable {
    /// What kinds of part there are.
    package enum Kind: String, Hashable, Sendable, CaseIterable, Comparable {
        /// One value that the down projection of a feed-forward layer reads: a knowledge neuron (Dai et al.,
        /// arXiv 2104.08696). Its output weights are a column of `down_proj` (a row of GPT-2's Conv1D).
        case neuron
        /// One attention head. Its output weights are a block of columns of the output projection.
        case head

        package static func < (left: Kind, right: Kind) -> Bool { left == .head && right == .neuron }
    }

    package var kind: Kind
    /// Counts from 0.
    package var layer: Int
    /// Within the layer, from 0.
    package var index: Int

    /// A unit.
    package init(_ kind: Kind, layer: Int, index: Int) {
        self.kind = kind
        self.layer = layer
        self.index = index
    }

    /// By layer; in a layer heads first.
    package static func < (left: AblationUnit, right: AblationUnit) -> Bool {
        (left.layer, left.kind == .head ? 0 : 1, left.index)
            < (right.layer, right.kind == .head ? 0 : 1, right.index)
    }
}

extension ModelConfiguration {
    /// How many units of a kind one layer has.
    package func units(_ kind: AblationUnit.Kind) -> Int { kind == .neuron ? intermediateSize : heads }

    /// How many inputs of the projection behind it one unit has.
    package func unitWidth(_ kind: AblationUnit.Kind) -> Int { kind == .neuron ? 1 : headSize }
}
