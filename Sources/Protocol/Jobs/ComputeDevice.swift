// SPDX-License-Identifier: Apache-2.0

/// What trains and measures a model.
package enum ComputeDevice: String, Codable, Sendable, CaseIterable {
    /// The processor.
    case cpu
    /// A card of NVIDIA's, in bfloat16 with sums in f32.
    case cuda
}
