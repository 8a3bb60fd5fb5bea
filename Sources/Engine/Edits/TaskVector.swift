// SPDX-License-Identifier: Apache-2.0

import CKernels
import Checkpoints
import Protocol
import Synchronization

/// Task-vector negation: target − scale · (finetuned − base), tensor by tensor (Ilharco et al., arXiv 2212.04089).
///
/// Per element, in f32 from the stored values (in f64 for F64 targets): d = fl(finetuned − base),
/// p = fl(scale · d), r = fl(target − p), each rounded once, and r rounded once to the target's type (nearest, ties
/// to even). Infinities and NaN follow IEEE 754; a NaN of the target keeps its bits, a new one is the quiet NaN.
/// Tensors are matched by name, over shards and types; those that are not floating-point are left as they are.
///
/// ``trim(to:of:threads:progress:)`` keeps of each tensor's direction the largest elements alone, as TIES-merging does
/// (Yadav et al., arXiv 2306.01708) and as mergekit's `magnitude` sparsification counts them: `Int(density · n)` of n.
/// Where mergekit leaves it open which of equal elements stay, here those of the lowest index do; and where it refuses
/// a tensor of which nothing would stay, one element does. The election of signs, TIES' second step, has no part in
/// a single direction.
package struct TaskVector: Sendable {
    /// How much of the direction is subtracted. Its product with a layer's factor is rounded to f32 for all but F64
    /// targets.
    package var scale: Double
    /// Factors of the scale for the layers, by the tensors' names.
    private let layers: LayerScales?
    private let finetuned: CheckpointReader
    /// `nil` when the target is its own base.
    private let base: CheckpointReader?
    private var operands: [String: Operands]
    private let level: Int32

    /// The tensors that meet in one tensor of the target.
    private struct Operands: Sendable {
        var type: Int32
        /// Bytes of an element of the target.
        var width: Int
        var finetuned: Manifest.Tensor
        var finetunedType: Int32
        var base: Manifest.Tensor?
        var baseType: Int32
        var factor: Double
        /// Which elements take part, once trimmed.
        var cut: Cut?
    }

    private enum Cut: Sendable, BitwiseCopyable {
        case single(MagnitudeCut<UInt32>)
        case double(MagnitudeCut<UInt64>)
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
        layers: LayerScales? = nil, level: Int32? = nil
    ) throws(EngineError) {
        self.scale = scale
        self.layers = layers
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
                type: try Self.type(of: tensor, "target"), width: tensor.dtype.bits / 8, finetuned: other,
                finetunedType: try Self.type(of: other, "fine-tuned version"), base: origin,
                baseType: try origin.map { tensor throws(EngineError) in try Self.type(of: tensor, "base") }
                    ?? 0,
                factor: layers?.factor(ofTensor: tensor.name) ?? 1)
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
        try edit(segment.tensor, from: segment.bytes.lowerBound, bytes)
    }

    /// Edits stored bytes of a tensor of the target in place, which begin at byte `start` of the tensor.
    ///
    /// - Returns: Whether the tensor took part.
    /// - Throws: `CheckpointError` where an operand cannot be read.
    package func edit(
        _ tensor: Manifest.Tensor, from start: Int, _ bytes: UnsafeMutableRawBufferPointer
    ) throws -> Bool {
        guard let operands = operands[tensor.name], let target = bytes.baseAddress, !bytes.isEmpty else {
            return false
        }
        let width = operands.width
        let first = start / width
        try forPieces(operands, first..<first + bytes.count / width) { elements, finetuned, base in
            let place = target + (elements.lowerBound - first) * width
            func subtract(_ bytes: UnsafeMutableRawPointer) {
                ck_task_vector(
                    level, operands.type, bytes, operands.finetunedType, finetuned, operands.baseType, base,
                    elements.count, scale * operands.factor)
            }
            guard let cut = operands.cut else { return subtract(place) }
            // What is trimmed away keeps its bits.
            let edited = UnsafeMutableRawPointer.allocate(
                byteCount: elements.count * width, alignment: 64)
            defer { edited.deallocate() }
            edited.copyMemory(from: place, byteCount: elements.count * width)
            subtract(edited)
            // `index` counts from the beginning of the tensor.
            func take(_ index: Int) {
                let offset = (index - elements.lowerBound) * width
                (place + offset).copyMemory(from: edited + offset, byteCount: width)
            }
            // The sizes come from what `place` held before: what was taken lies behind what is looked at.
            switch cut {
            case .single(let cut):
                singleSizes(operands, elements, place, finetuned, base) { first, sizes in
                    for (index, size) in sizes.enumerated() where cut.keeps(size, at: first + index) {
                        take(first + index)
                    }
                }
            case .double(let cut):
                doubleSizes(operands, elements, place, finetuned, base) { first, sizes in
                    for (index, size) in sizes.enumerated() where cut.keeps(size, at: first + index) {
                        take(first + index)
                    }
                }
            }
        }
        return true
    }

    /// Keeps of each tensor's direction the `Int(density · n)` elements (at least one) of the largest magnitude.
    ///
    /// Goes through the versions three times (five times for F64), by chunks, the tensors side by side.
    /// - Parameters:
    ///   - density: Above 0, at most 1.
    ///   - target: The version to be edited.
    ///   - ranks: Who does it together, each some of the tensors.
    ///   - progress: Called on this thread with bytes done and in all; throwing cancels.
    /// - Throws: `CheckpointError` where an operand cannot be read; what `progress` throws.
    package mutating func trim(
        to density: Double, of target: CheckpointReader, threads: Int, ranks: Ranks = .alone,
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) throws {
        guard density < 1 else { return }
        let tensors = target.manifest.tensors.filter { operands[$0.name] != nil && $0.elements > 0 }
        let editor = self
        let cuts = try ranks.divide(tensors.count) { own in
            try editor.cuts(
                own.map { tensors[$0] }, to: density, of: target, threads: threads, progress: progress
            ).map { [$0] }
        }
        for (tensor, cut) in zip(tensors, cuts) { operands[tensor.name]?.cut = cut.first }
    }

    private func cuts(
        _ tensors: [Manifest.Tensor], to density: Double, of target: CheckpointReader, threads: Int,
        progress: (_ done: Int, _ total: Int) throws -> Void
    ) throws -> [Cut] {
        let total = tensors.reduce(0) { $0 + $1.size }
        struct State {
            var done = 0
            var cuts: [Cut?]
            var failure: (any Error)?
        }
        let state = Mutex(State(cuts: Array(repeating: nil, count: tensors.count)))
        try progress(0, total)
        // Each thread holds a piece of each version.
        try ThreadPool(threads: min(threads, 4)).parallel(tensors.count) { index, worker in
            let tensor = tensors[index]
            guard state.withLock({ $0.failure == nil }), let operands = operands[tensor.name] else { return }
            do {
                let kept = max(1, Int(density * Double(tensor.elements)))
                let cut = try self.cut(tensor, operands, keeping: kept, target)
                let done = state.withLock { state in
                    state.cuts[index] = cut
                    state.done += tensor.size
                    return state.done
                }
                // Thread 0 is the caller.
                if worker == 0 { try progress(done, total) }
            } catch {
                state.withLock { $0.failure = $0.failure ?? error }
            }
        }
        let (cuts, failure) = state.withLock { ($0.cuts, $0.failure) }
        if let failure { throw failure }
        try progress(total, total)
        return cuts.compactMap(\.self)
    }

    private func cut(
        _ tensor: Manifest.Tensor, _ operands: Operands, keeping kept: Int, _ target: CheckpointReader
    ) throws -> Cut {
        let width = operands.width
        func scan(_ body: (Range<Int>, UnsafeRawPointer, UnsafeRawPointer, UnsafeRawPointer?) -> Void) throws
        {
            let space = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.piece, alignment: 64)
            defer { space.deallocate() }
            try forPieces(operands, 0..<tensor.elements) { elements, finetuned, base in
                let own = UnsafeMutableRawBufferPointer(rebasing: space[..<(elements.count * width)])
                if base == nil { try target.read(tensor, bytes: elements.scaled(by: width), into: own) }
                if let start = space.baseAddress { body(elements, start, finetuned, base) }
            }
        }
        if tensor.dtype == .f64 {
            return .double(
                try MagnitudeCut(keeping: kept) { body in
                    try scan { doubleSizes(operands, $0, $1, $2, $3) { body($1) } }
                })
        }
        return .single(
            try MagnitudeCut(keeping: kept) { body in
                try scan { singleSizes(operands, $0, $1, $2, $3) { body($1) } }
            })
    }

    /// Reads what meets the given elements of the target, piece by piece in order.
    private func forPieces(
        _ operands: Operands, _ elements: Range<Int>,
        _ body: (_ elements: Range<Int>, _ finetuned: UnsafeRawPointer, _ base: UnsafeRawPointer?) throws
            -> Void
    ) throws {
        let otherWidth = operands.finetuned.dtype.bits / 8
        let baseWidth = (operands.base?.dtype.bits ?? 0) / 8
        let step = min(elements.count, Self.piece / max(operands.width, otherWidth, baseWidth))
        guard step > 0 else { return }
        let space = UnsafeMutableRawBufferPointer.allocate(
            byteCount: step * (otherWidth + baseWidth), alignment: 64)
        defer { space.deallocate() }
        for start in stride(from: elements.lowerBound, to: elements.upperBound, by: step) {
            let part = start..<min(start + step, elements.upperBound)
            let other = UnsafeMutableRawBufferPointer(rebasing: space[..<(part.count * otherWidth)])
            try finetuned.read(operands.finetuned, bytes: part.scaled(by: otherWidth), into: other)
            var origin: UnsafeRawPointer?
            if let base, let tensor = operands.base {
                let bytes = UnsafeMutableRawBufferPointer(
                    rebasing: space[other.count...].prefix(part.count * baseWidth))
                try base.read(tensor, bytes: part.scaled(by: baseWidth), into: bytes)
                origin = UnsafeRawPointer(bytes.baseAddress)
            }
            if let other = other.baseAddress { try body(part, other, origin) }
        }
    }

    /// The bits of |d| for elements of an F64 target, in order, with the index of the first.
    private func doubleSizes(
        _ operands: Operands, _ elements: Range<Int>, _ target: UnsafeRawPointer,
        _ finetuned: UnsafeRawPointer, _ base: UnsafeRawPointer?,
        _ body: (_ first: Int, _ sizes: UnsafeBufferPointer<UInt64>) -> Void
    ) {
        sizes(operands, elements, target, finetuned, base, body) {
            ck_task_vector_sizes_f64(
                level, $0, operands.type, $1, operands.finetunedType, $2, operands.baseType, $3, $4)
        }
    }

    /// The same in f32 for all other targets.
    private func singleSizes(
        _ operands: Operands, _ elements: Range<Int>, _ target: UnsafeRawPointer,
        _ finetuned: UnsafeRawPointer, _ base: UnsafeRawPointer?,
        _ body: (_ first: Int, _ sizes: UnsafeBufferPointer<UInt32>) -> Void
    ) {
        sizes(operands, elements, target, finetuned, base, body) {
            ck_task_vector_sizes_f32(
                level, $0, operands.type, $1, operands.finetunedType, $2, operands.baseType, $3, $4)
        }
    }

    private func sizes<Key>(
        _ operands: Operands, _ elements: Range<Int>, _ target: UnsafeRawPointer,
        _ finetuned: UnsafeRawPointer, _ base: UnsafeRawPointer?,
        _ body: (_ first: Int, _ sizes: UnsafeBufferPointer<Key>) -> Void,
        _ kernel: (
            UnsafeMutablePointer<Key>, UnsafeRawPointer, UnsafeRawPointer, UnsafeRawPointer?, Int
        ) -> Void
    ) {
        let step = min(elements.count, 1 << 14)
        let width = operands.width
        let otherWidth = operands.finetuned.dtype.bits / 8
        let baseWidth = (operands.base?.dtype.bits ?? 0) / 8
        withUnsafeTemporaryAllocation(of: Key.self, capacity: step) { sizes in
            guard let start = sizes.baseAddress else { return }
            for offset in stride(from: 0, to: elements.count, by: step) {
                let count = min(step, elements.count - offset)
                kernel(
                    start, target + offset * width, finetuned + offset * otherWidth,
                    base.map { $0 + offset * baseWidth }, count)
                body(elements.lowerBound + offset, UnsafeBufferPointer(start: start, count: count))
            }
        }
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
