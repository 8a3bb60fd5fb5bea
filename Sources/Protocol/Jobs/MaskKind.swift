// SPDX-License-Identifier: Apache-2.0

/// By what a training chooses the weights that it may change.
package enum MaskKind: String, Codable, Sendable, CaseIterable {
    /// The size of the forget set's gradient (SalUn).
    case saliency
    /// The weight and both gradients (WAGLE).
    case wagle
}
