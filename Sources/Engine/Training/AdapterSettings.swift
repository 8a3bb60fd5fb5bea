// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Low-rank adapters of projections (LoRA, Hu et al., arXiv 2106.09685): y += alpha/rank · B · (A · x), with A and B
/// trained and everything else frozen.
package struct AdapterSettings: Sendable, Hashable {
    /// Every projection of the blocks.
    package static let allLinear = "all-linear"

    package var rank: Int
    package var alpha: Double
    /// Modules to adapt: a name or the end of one after a dot, as PEFT's `target_modules`, or ``allLinear``.
    package var targets: [String]
    /// The blocks whose modules are adapted; all unless given.
    package var layers: LayerSelection?

    /// Adapters of `rank`.
    package init(rank: Int, alpha: Double, targets: [String], layers: LayerSelection? = nil) {
        self.rank = rank
        self.alpha = alpha
        self.targets = targets
        self.layers = layers
    }

    /// What B · A is multiplied by.
    package var scale: Float { Float(alpha / Double(rank)) }

    /// Whether a module of a block is named by a target; which one.
    func target(of module: String) -> String? {
        targets.first { $0 == Self.allLinear || module == $0 || module.hasSuffix("." + $0) }
    }
}
