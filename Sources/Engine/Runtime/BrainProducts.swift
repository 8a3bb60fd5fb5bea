// SPDX-License-Identifier: Apache-2.0

import CKernels

/// Matrix products whose operands are rounded to bfloat16 and whose sums are f32.
package enum BrainProducts: Sendable {
    /// By our own kernels and the processor's instruction for pairs of bfloat16 (AVX512_BF16).
    case paired
    /// By oneDNN, which knows the processor's instruction for tiles (AMX).
    case native(OneDNN)
    /// By our own f32 kernels on operands rounded to bfloat16 and back: the same rounding, at the speed of f32.
    case rounded

    /// The fastest of them on this processor, which alone decides.
    ///
    /// - Throws: ``OneDNN/Missing`` where the processor has no bfloat16 instructions, or has AMX and there is no library.
    package static func fastest() throws(OneDNN.Missing) -> BrainProducts {
        if ck_has_bfloat16() != 0, ck_has_fast_bfloat16() == 0 { return .rounded }
        return ck_has_fast_pairs() != 0 ? .paired : .native(try OneDNN())
    }

    /// For the record.
    package var description: String {
        switch self {
        case .paired: "bf16, avx512_bf16 kernels"
        case .native(let library): "bf16, \(library.description)"
        case .rounded: "bf16, f32 kernels"
        }
    }
}
