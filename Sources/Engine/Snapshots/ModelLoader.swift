// SPDX-License-Identifier: Apache-2.0

import CKernels
import Checkpoints
import Synchronization

/// Reads a version's tensors into a model's f32 parameters.
package enum ModelLoader {
    /// Elements of one piece of work; 16 MiB of 4-byte elements, so that whole objects are decoded in place.
    private static let piece = 4 << 20

    /// A change of stored bytes of a tensor, which begin at byte `start` of it.
    package typealias Edit = (
        _ tensor: Manifest.Tensor, _ start: Int, _ bytes: UnsafeMutableRawBufferPointer
    ) throws -> Void

    /// What loading found.
    package struct Outcome: Sendable {
        /// Which tensor went where; also what ``ModelWriter`` writes by.
        package var bindings: [ParameterTable.Binding]
        /// Tensors with values that are not finite, and how many, in the order of the bindings.
        package var notFinite: [(tensor: String, count: Int)]

        /// Refuses weights that are not finite: nothing that is computed from them means anything.
        /// - Throws: ``EngineError`` with `.tensorMismatch` naming the first tensors.
        package func requireFinite() throws(EngineError) {
            guard !notFinite.isEmpty else { return }
            let named = notFinite.prefix(3).map { "\($0.tensor) (\($0.count))" }.joined(separator: ", ")
            let more = notFinite.count > 3 ? " and \(notFinite.count - 3) more" : ""
            throw EngineError(
                .tensorMismatch, "the checkpoint has weights that are NaN or infinite: \(named)\(more)",
                hint: "Choose a version with sound weights.")
        }
    }

    /// Fills `model.parameters` from the version, converting F16, BF16 and F64 to F32.
    ///
    /// Tensors are read and converted piece by piece on the threads of the model's context. Where ranks share the parameters
    /// each reads what it keeps, and all call it.
    /// - Parameters:
    ///   - edit: Changes stored bytes, which begin at a byte of a tensor, before they are converted: the model is then
    ///     what a rewrite with the same edit would make. Called by several threads at once.
    ///   - progress: Called on this thread with bytes done and in all; throwing cancels.
    /// - Throws: ``EngineError``: `.tensorMismatch` for names and shapes, `.unsupportedModel` for a type without
    ///   arithmetic; `CheckpointError`; what `progress` throws.
    package static func load(
        _ reader: CheckpointReader, into model: Transformer, editing edit: Edit? = nil,
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) throws -> Outcome {
        let bindings = try model.table.bind(reader.manifest.tensors.map { ($0.name, $0.shape) })
        var pieces: [Piece] = []
        for (index, binding) in bindings.enumerated() where !binding.isAlias {
            guard let tensor = reader.tensor(named: binding.tensor) else { continue }
            try check(tensor)
            let entry = model.table.entries[binding.entry]
            for range in model.kept(of: [entry.range]) {
                for start in stride(from: range.lowerBound, to: range.upperBound, by: piece) {
                    pieces.append(
                        Piece(
                            binding: index, tensor: tensor, first: start - entry.offset,
                            count: min(piece, range.upperBound - start), target: start))
                }
            }
        }
        let total = pieces.reduce(0) { $0 + $1.count * $1.tensor.dtype.bits / 8 }
        let state = Mutex(State())
        let kernels = model.context.kernels
        try progress(0, total)
        let notFinite = try model.change {
            model.context.pool.parallel(pieces.count) { index, worker in
                if state.withLock({ $0.failure != nil }) { return }
                let piece = pieces[index]
                do {
                    let bad = try piece.load(
                        reader, into: model.parameters.base + piece.target, editing: edit, kernels)
                    let done = state.withLock { state in
                        if bad > 0 { state.notFinite[piece.binding, default: 0] += bad }
                        state.done += piece.count * piece.tensor.dtype.bits / 8
                        return state.done
                    }
                    // Thread 0 is the caller.
                    if worker == 0 { try progress(done, total) }
                } catch {
                    state.withLock { $0.failure = $0.failure ?? error }
                }
            }
            let (failure, notFinite) = state.withLock { ($0.failure, $0.notFinite) }
            if let failure { throw failure }
            return notFinite
        }
        try progress(total, total)
        return Outcome(
            bindings: bindings,
            notFinite: notFinite.sorted { $0.key < $1.key }.map { (bindings[$0.key].tensor, $0.value) })
    }

    private struct State {
        var done = 0
        var notFinite: [Int: Int] = [:]
        var failure: (any Error)?
    }

    private struct Piece {
        var binding: Int
        var tensor: Manifest.Tensor
        var first: Int
        var count: Int
        var target: Int

        /// Reads and converts; returns how many values are not finite.
        func load(
            _ reader: CheckpointReader, into values: UnsafeMutablePointer<Float>, editing edit: Edit?,
            _ kernels: UnsafePointer<ck_kernels>
        ) throws -> Int {
            let width = tensor.dtype.bits / 8
            let range = first * width..<(first + count) * width
            if tensor.dtype == .f32 {
                let raw = UnsafeMutableRawBufferPointer(start: values, count: range.count)
                try reader.read(tensor, bytes: range, into: raw)
                try edit?(tensor, range.lowerBound, raw)
            } else {
                let raw = UnsafeMutableRawBufferPointer.allocate(byteCount: range.count, alignment: 64)
                defer { raw.deallocate() }
                try reader.read(tensor, bytes: range, into: raw)
                try edit?(tensor, range.lowerBound, raw)
                if tensor.dtype == .f64 {
                    for (index, value) in raw.bindMemory(to: Double.self).enumerated() {
                        values[index] = Float(value)
                    }
                } else if let source = raw.bindMemory(to: UInt16.self).baseAddress {
                    let convert = tensor.dtype == .f16 ? kernels.pointee.from_f16 : kernels.pointee.from_bf16
                    convert(values, source, count)
                }
            }
            return UnsafeBufferPointer(start: values, count: count).countNotFinite()
        }
    }

    private static func check(_ tensor: Manifest.Tensor) throws(EngineError) {
        guard [.f16, .bf16, .f32, .f64].contains(tensor.dtype) else {
            throw EngineError(
                .unsupportedModel,
                "the tensor \(tensor.name) is \(tensor.dtype.rawValue); the engine computes with F16, BF16, F32 and F64",
                hint: "Convert the model to one of these types first.")
        }
    }
}

extension UnsafeBufferPointer<Float> {
    /// How many values are NaN or infinite.
    func countNotFinite() -> Int {
        var count: UInt32 = 0
        var total = 0
        for (index, value) in enumerated() {
            count &+= value.bitPattern & 0x7F80_0000 == 0x7F80_0000 ? 1 : 0
            if index & 0xFFFF == 0xFFFF {
                total += Int(count)
                count = 0
            }
        }
        return total + Int(count)
    }
}
