// SPDX-License-Identifier: Apache-2.0

/// The arithmetic of training.
package enum Precision: String, Codable, Sendable, CaseIterable {
    /// IEEE single precision throughout.
    case f32
    /// Operands of matrix products rounded to bfloat16, sums and everything else in f32, weights kept in f32.
    case bf16
}
