// SPDX-License-Identifier: Apache-2.0

import CKernels
import Checkpoints

extension DType {
    /// Replaces the stored value `index` of `bytes` (little-endian, maybe unaligned) by `change` of it.
    ///
    /// The new value is rounded to f32 first, but for F64, and then once to the type, nearest, ties to even. Not for
    /// types without arithmetic: they stay as they are.
    func change(_ bytes: UnsafeMutableRawBufferPointer, at index: Int, _ change: (Double) -> Double) {
        let offset = index * bits / 8
        switch self {
        case .f32:
            let value = bytes.loadUnaligned(fromByteOffset: offset, as: Float.self)
            bytes.storeBytes(of: Float(change(Double(value))), toByteOffset: offset, as: Float.self)
        case .f64:
            let value = bytes.loadUnaligned(fromByteOffset: offset, as: Double.self)
            bytes.storeBytes(of: change(value), toByteOffset: offset, as: Double.self)
        case .f16, .bf16:
            guard let kernels = ck_kernels_at(Int32(CK_LEVEL_SCALAR)) else { return }
            var half = bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self)
            var single: Float = 0
            (self == .f16 ? kernels.pointee.from_f16 : kernels.pointee.from_bf16)(&single, &half, 1)
            single = Float(change(Double(single)))
            (self == .f16 ? kernels.pointee.to_f16 : kernels.pointee.to_bf16)(&half, &single, 1)
            bytes.storeBytes(of: half, toByteOffset: offset, as: UInt16.self)
        default: break
        }
    }
}
