// SPDX-License-Identifier: Apache-2.0

import CKernels

/// Matrix products whose operands are rounded to bfloat16 and whose sums are f32.
package enum BrainProducts: Sendable {
    /// By oneDNN and the processor's own instructions.
    case native(OneDNN)
    /// By our own f32 kernels on operands rounded to bfloat16 and back: the same rounding, at the speed of f32.
    case rounded

    /// The faster of the two on this processor, which alone decides.
    ///
    /// - Throws: ``OneDNN/Missing`` where the processor has no bfloat16 instructions, or has fast ones and no library.
    package static func fastest() throws(OneDNN.Missing) -> BrainProducts {
        ck_has_bfloat16() != 0 && ck_has_fast_bfloat16() == 0 ? .rounded : .native(try OneDNN())
    }

    /// For the record.
    package var description: String {
        switch self {
        case .native(let library): "bf16, \(library.description)"
        case .rounded: "bf16, f32 kernels"
        }
    }
}
