// SPDX-License-Identifier: Apache-2.0

/// The loss that holds the model on the retain set.
package enum RetainLoss: String, Codable, Sendable, CaseIterable {
    /// Mean negative log-likelihood of the labels.
    case nll
    /// Mean Kullback-Leibler divergence of the base version's predictions from the current ones.
    case kl
    /// Mean squared distance from the base version's activations at the steered block (`rmu`).
    case activations
}
