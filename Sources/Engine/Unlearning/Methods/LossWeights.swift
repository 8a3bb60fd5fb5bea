// SPDX-License-Identifier: Apache-2.0

/// How much forgetting and keeping count in a step: loss = `forget` · forget term + `retain` · retain term.
///
/// There are two ways to write these down. `ascent` shares one whole between both by its alpha; every other method
/// takes two independent coefficients, the gamma and alpha of the literature. An objective sees only the two numbers
/// here, so that neither alpha can be read as the other.
package struct LossWeights: Sendable, Hashable {
    package var forget: Double
    package var retain: Double

    /// alpha for forgetting, 1 − alpha for keeping (`ascent`).
    ///
    /// - Parameter alpha: 0 to 1.
    package static func mix(_ alpha: Double) -> LossWeights {
        LossWeights(forget: alpha, retain: 1 - alpha)
    }

    /// gamma for forgetting, alpha for keeping, each for itself.
    package static func coefficients(gamma: Double, alpha: Double) -> LossWeights {
        LossWeights(forget: gamma, retain: alpha)
    }
}
