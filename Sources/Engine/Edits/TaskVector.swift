// SPDX-License-Identifier: Apache-2.0

import CKernels
import Checkpoints

/// Task-vector negation: target − scale · (finetuned − base), tensor by tensor (Ilharco et al., arXiv 2212.04089).
///
/// Per element, in f32 from the stored values (in f64 for F64 targets): d = fl(finetuned − base),
/// p = fl(scale · d), r = fl(target − p), each rounded once, and r rounded once to the target's type (nearest, ties
/// to even). Infinities and NaN follow IEEE 754; a NaN of the target keeps its bits, a new one is the quiet NaN.
/// Tensors are matched by name, over shards and types; those that are not floating-point are left as they are.
package struct TaskVector: Sendable {
    /// How much of the direction is subtracted; rounded to f32 for all but F64 targets.
    package let scale: Double
    private let finetuned: CheckpointReader
    /// `nil` when the target is its own base.
    private let base: CheckpointReader?
    private let operands: [String: Operands]
    private let level: Int32

    /// The tensors that meet in one tensor of the target.
    private struct Operands: Sendable {
        var type: Int32
        var finetuned: Manifest.Tensor
        var finetunedType: Int32
        var base: Manifest.Tensor?
        var baseType: Int32
    }

    /// The widest operand of one piece of work, bytes: what a piece of each operand needs in memory.
    private static let piece = ChunkPlan.grid

    /// Checks that the three versions fit together.
    ///
    /// - Parameters:
    ///   - base: What `finetuned` started from; `nil` or the target's own version means the target.
    ///   - level: The instruction level (`CK_LEVEL_…`); `nil` is the best one here. All give the same bits.
    /// - Throws: ``EngineError``: `.tensorMismatch` for a floating-point tensor that one of them lacks or that has
    ///   another shape, `.unsupportedModel` for a type without arithmetic.
    package init(
        target: Manifest, finetuned: CheckpointReader, base: CheckpointReader?, scale: Double,
        level: Int32? = nil
    ) throws(EngineError) {
        self.scale = scale
        self.finetuned = finetuned
        self.base = base
        self.level = level ?? ck_best_level()
        var operands: [String: Operands] = [:]
        for tensor in target.tensors where Self.takesPart(tensor.dtype) {
            let other = try Self.partner(of: tensor, in: finetuned, "fine-tuned")
            let origin = try base.map { reader throws(EngineError) in
                try Self.partner(of: tensor, in: reader, "base")
            }
            operands[tensor.name] = Operands(
                type: try Self.type(of: tensor, "target"), finetuned: other,
                finetunedType: try Self.type(of: other, "fine-tuned version"), base: origin,
                baseType: try origin.map { tensor throws(EngineError) in try Self.type(of: tensor, "base") }
                    ?? 0)
        }
        // What only the fine-tuned version has would be dropped from the direction without a word.
        let known = Set(target.tensors.map(\.name))
        for tensor in finetuned.manifest.tensors
        where Self.takesPart(tensor.dtype) && !known.contains(tensor.name) {
            throw Self.mismatch(
                "the fine-tuned version has the tensor \(tensor.name), which the target lacks")
        }
        self.operands = operands
    }

    /// Edits one segment of the target in place; the closure that ``CheckpointRewriter`` asks for.
    ///
    /// - Returns: Whether the segment took part.
    /// - Throws: `CheckpointError` where an operand cannot be read.
    package func edit(_ segment: TensorSegment, _ bytes: UnsafeMutableRawBufferPointer) throws -> Bool {
        guard let operands = operands[segment.tensor.name] else { return false }
        let width = segment.tensor.dtype.bits / 8
        let otherWidth = operands.finetuned.dtype.bits / 8
        let baseWidth = (operands.base?.dtype.bits ?? 0) / 8
        let first = segment.bytes.lowerBound / width
        let count = bytes.count / width
        let step = min(count, Self.piece / max(width, otherWidth, baseWidth))
        guard step > 0 else { return false }
        let space = UnsafeMutableRawBufferPointer.allocate(
            byteCount: step * (otherWidth + baseWidth), alignment: 64)
        defer { space.deallocate() }
        for start in stride(from: 0, to: count, by: step) {
            let elements = first + start..<first + min(start + step, count)
            let other = UnsafeMutableRawBufferPointer(rebasing: space[..<(elements.count * otherWidth)])
            try finetuned.read(operands.finetuned, bytes: elements.scaled(by: otherWidth), into: other)
            var origin: UnsafeMutableRawBufferPointer?
            if let base, let tensor = operands.base {
                let part = UnsafeMutableRawBufferPointer(
                    rebasing: space[other.count...].prefix(elements.count * baseWidth))
                try base.read(tensor, bytes: elements.scaled(by: baseWidth), into: part)
                origin = part
            }
            guard let target = bytes.baseAddress, let otherStart = other.baseAddress else { return false }
            ck_task_vector(
                level, operands.type, target + start * width, operands.finetunedType, otherStart,
                operands.baseType,
                origin.flatMap { UnsafeRawPointer($0.baseAddress) }, elements.count, scale)
        }
        return true
    }

    /// Whether a type takes part: numbers that are not integers. A complex one is refused later, not skipped.
    private static func takesPart(_ type: DType) -> Bool { type.isFloating || type == .c64 }

    private static func partner(
        of tensor: Manifest.Tensor, in reader: CheckpointReader, _ role: String
    ) throws(EngineError) -> Manifest.Tensor {
        guard let other = reader.tensor(named: tensor.name) else {
            throw mismatch("the \(role) version lacks the tensor \(tensor.name) of shape \(tensor.shape)")
        }
        guard other.shape == tensor.shape else {
            throw mismatch(
                "the tensor \(tensor.name) has the shape \(other.shape) in the \(role) version and \(tensor.shape) in the target"
            )
        }
        return other
    }

    private static func type(of tensor: Manifest.Tensor, _ role: String) throws(EngineError) -> Int32 {
        switch tensor.dtype {
        case .f16: return Int32(CK_TASKVECTOR_F16)
        case .bf16: return Int32(CK_TASKVECTOR_BF16)
        case .f32: return Int32(CK_TASKVECTOR_F32)
        case .f64: return Int32(CK_TASKVECTOR_F64)
        default:
            throw EngineError(
                .unsupportedModel,
                "the tensor \(tensor.name) of the \(role) is \(tensor.dtype.rawValue); task vectors are computed in F16, BF16, F32 and F64",
                hint: "Convert the model to one of these types first.")
        }
    }

    private static func mismatch(_ message: String) -> EngineError {
        EngineError(
            .tensorMismatch, message,
            hint:
                "Give versions of one architecture with the same tensor names; --base names the one that was fine-tuned."
        )
    }
}

extension Range<Int> {
    /// The byte range of these elements.
    fileprivate func scaled(by width: Int) -> Range<Int> { lowerBound * width..<upperBound * width }
}
