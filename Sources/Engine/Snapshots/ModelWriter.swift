// SPDX-License-Identifier: Apache-2.0

import CKernels
import Checkpoints

/// Writes a model's f32 parameters over the tensors of the version that they were loaded from.
///
/// Each value is rounded once to the stored type, nearest, ties to even. Both copies of a tied matrix are written;
/// tensors that are no parameter stay as they are. Values that other ranks keep are fetched from them.
package struct ModelWriter: Sendable {
    private let parameters: FloatStorage
    private let shards: ParameterShards?
    private let places: [String: Int]
    private nonisolated(unsafe) let kernels: UnsafePointer<ck_kernels>

    /// A writer of the present parameters, which must not change until the rewrite is over.
    /// - Parameter bindings: As ``ModelLoader`` gave them.
    package init(_ model: Transformer, bindings: [ParameterTable.Binding]) {
        parameters = model.parameters
        shards = model.shards
        kernels = model.context.kernels
        var places: [String: Int] = [:]
        for binding in bindings { places[binding.tensor] = model.table.entries[binding.entry].offset }
        self.places = places
    }

    /// Writes one segment in place; the closure that ``CheckpointRewriter`` asks for.
    ///
    /// - Returns: Whether the tensor is a parameter.
    /// - Throws: ``EngineError`` with `.tensorMismatch` where a finite value does not fit the stored type.
    package func write(_ segment: TensorSegment, _ bytes: UnsafeMutableRawBufferPointer) throws -> Bool {
        guard let offset = places[segment.tensor.name], let target = bytes.baseAddress else { return false }
        let width = segment.tensor.dtype.bits / 8
        let count = bytes.count / width
        let first = offset + segment.bytes.lowerBound / width
        guard let shards, !shards.keeps(first..<first + count) else {
            return try write(parameters.base + first, count, segment, bytes, target)
        }
        // Given back when it was used: what allocators keep would add up over the threads.
        let values = try FloatStorage(count: count, pages: .small)
        try shards.read(first..<first + count, into: values.base)
        return try write(values.base, count, segment, bytes, target)
    }

    private func write(
        _ source: UnsafeMutablePointer<Float>, _ count: Int, _ segment: TensorSegment,
        _ bytes: UnsafeMutableRawBufferPointer, _ target: UnsafeMutableRawPointer
    ) throws -> Bool {
        switch segment.tensor.dtype {
        case .f32: target.copyMemory(from: source, byteCount: bytes.count)
        case .f64:
            for index in 0..<count {
                // A value that training left alone keeps the bits that f32 cannot hold.
                let old = target.loadUnaligned(fromByteOffset: index * 8, as: Double.self)
                if Float(old) != source[index] {
                    target.storeBytes(of: Double(source[index]), toByteOffset: index * 8, as: Double.self)
                }
            }
        case .f16, .bf16:
            let isHalf = segment.tensor.dtype == .f16
            let convert = isHalf ? kernels.pointee.to_f16 : kernels.pointee.to_bf16
            let halves = UnsafeMutablePointer<UInt16>.allocate(capacity: count)
            defer { halves.deallocate() }
            convert(halves, source, count)
            let infinity: UInt16 = isHalf ? 0x7C00 : 0x7F80
            for index in 0..<count where halves[index] & infinity == infinity {
                throw EngineError(
                    .tensorMismatch,
                    "the weight \(source[index]) of \(segment.tensor.name) does not fit the stored type \(segment.tensor.dtype.rawValue)",
                    hint: "Lower --learning-rate or --epochs, or store the model in F32.")
            }
            target.copyMemory(from: halves, byteCount: bytes.count)
        default: return false
        }
        return true
    }
}
