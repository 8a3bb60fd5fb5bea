// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Gradient ascent on what shall be forgotten, descent on what shall be kept (`ascent`).
///
/// loss = alpha · (−L_forget) + (1 − alpha) · L_retain, with L the mean negative log-likelihood over a batch's
/// labelled tokens (Jang et al., arXiv 2210.01504; with the retain term Maini et al., arXiv 2401.06121). With
/// `retainLoss` `kl`, L_retain is the mean KL(base ‖ model) over the retain batch's labelled places.
package final class AscentObjective: Objective {
    private let alpha: Double
    private let retainLoss: RetainLoss
    private let retains: Bool
    /// The weights at the beginning, for `kl`.
    private var base: FloatStorage?

    /// - Parameters:
    ///   - alpha: Weight of forgetting against retaining, 0 to 1.
    ///   - retains: Whether steps have a retain batch.
    package init(alpha: Double = 0.5, retainLoss: RetainLoss = .nll, retains: Bool = true) {
        self.alpha = alpha
        self.retainLoss = retainLoss
        self.retains = retains
    }

    package var copies: Int { retainLoss == .kl && retains ? 1 : 0 }

    package func begin(_ model: Transformer, progress: (_ done: Int, _ total: Int) throws -> Void) throws {
        guard copies > 0 else { return }
        base = try model.makeReference()
    }

    package func accumulate(_ step: StepBatches, _ model: Transformer, into gradients: FloatStorage) throws
        -> StepLosses
    {
        var losses = StepLosses(loss: 0)
        // Without weight a loss is only looked at.
        if let batch = step.forget {
            losses.forget =
                alpha == 0
                ? try batch.loss(model)
                : try batch.accumulateGradients(model, scale: -alpha, into: gradients)
        }
        if let batch = step.retain {
            let weight = 1 - alpha
            if let base {
                losses.retain = try batch.accumulateDivergenceGradients(
                    model, reference: base, scale: weight, into: gradients)
            } else {
                losses.retain =
                    weight == 0
                    ? try batch.loss(model)
                    : try batch.accumulateGradients(model, scale: weight, into: gradients)
            }
        }
        // 0 · ∞ would be NaN where the term has no say.
        if alpha > 0 { losses.loss -= alpha * (losses.forget ?? .nan) }
        if alpha < 1 { losses.loss += (1 - alpha) * (losses.retain ?? .nan) }
        return losses
    }
}
