// SPDX-License-Identifier: Apache-2.0

/// PDU's rule for the weight of the retain term (Entesari et al., arXiv 2506.05314): after each step of the epochs behind
/// the warm-up, alpha ← max(0, alpha + rate · (retain loss − limit)).
///
/// The multiplier of the constraint “the retain loss stays below the limit”: it grows while that is broken and falls
/// while it is kept.
package struct DualWeight: Sendable, Hashable {
    package var rate: Double
    /// What the retain loss may be.
    package var limit: Double
    package var warmUpEpochs: Int

    /// A rule from its numbers.
    package init(rate: Double, limit: Double, warmUpEpochs: Int) {
        self.rate = rate
        self.limit = limit
        self.warmUpEpochs = warmUpEpochs
    }

    /// The weight after a step in `epoch`, counted from 1.
    package func next(_ weight: Double, retainLoss: Double, epoch: Int) -> Double {
        epoch > warmUpEpochs ? max(0, weight + rate * (retainLoss - limit)) : weight
    }
}
