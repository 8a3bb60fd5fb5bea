// SPDX-License-Identifier: Apache-2.0

/// Matrix products whose operands are rounded to bfloat16 and whose sums are f32.
package enum BrainProducts: Sendable {
    /// By oneDNN and the processor's own instructions.
    case native(OneDNN)
    /// By our own kernels on operands rounded to bfloat16 and back: the same rounding, at the speed of f32. For tests.
    case emulated

    /// For the record.
    package var description: String {
        switch self {
        case .native(let library): "bf16, \(library.description)"
        case .emulated: "bf16, emulated"
        }
    }
}
