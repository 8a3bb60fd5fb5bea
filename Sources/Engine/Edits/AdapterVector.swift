// SPDX-License-Identifier: Apache-2.0

import CKernels
import Checkpoints

/// Task-vector negation with the direction of a low-rank adapter: target − scale · (alpha/r · B · A).
///
/// B · A is summed in double and rounded once to f32; from there on the arithmetic is that of ``TaskVector``. Works
/// piece by piece: in memory are one module's two matrices and some rows of the change.
package struct AdapterVector: Sendable {
    private let adapter: LowRankAdapter
    private let modules: [String: LowRankAdapter.Module]
    private let scale: Double
    private let level: Int32

    /// Finds the adapter's modules in the target.
    ///
    /// - Parameter level: The instruction level (`CK_LEVEL_…`); `nil` is the best one here. All give the same bits.
    /// - Throws: ``EngineError`` with `.tensorMismatch` for a module that the target lacks or that has another shape
    ///   there, `.unsupportedModel` for a type without arithmetic.
    package init(
        target: Manifest, adapter: LowRankAdapter, scale: Double, level: Int32? = nil
    ) throws(EngineError) {
        self.adapter = adapter
        self.scale = scale
        self.level = level ?? ck_best_level()
        let tensors = Dictionary(target.tensors.map { ($0.name, $0) }) { first, _ in first }
        var modules: [String: LowRankAdapter.Module] = [:]
        for module in adapter.modules {
            // A checkpoint of the model without its head has shorter names.
            let short = module.name.drop { $0 != "." }.dropFirst()
            let names = [module.name, String(short)].map { $0 + ".weight" }
            guard let tensor = names.lazy.compactMap({ tensors[$0] }).first else {
                throw LowRankAdapter.mismatch("the model has no tensor \(module.name).weight")
            }
            guard tensor.shape == module.shape else {
                throw LowRankAdapter.mismatch(
                    "\(tensor.name) has the shape \(tensor.shape) in the model, and the adapter is for \(module.shape)"
                )
            }
            guard Self.type(tensor.dtype) != nil else {
                throw EngineError(
                    .unsupportedModel,
                    "the tensor \(tensor.name) is \(tensor.dtype.rawValue); task vectors are computed in F16, BF16, F32 and F64",
                    hint: "Convert the model to one of these types first.")
            }
            if modules.updateValue(module, forKey: tensor.name) != nil {
                throw LowRankAdapter.mismatch("two modules are the tensor \(tensor.name)")
            }
        }
        self.modules = modules
    }

    private static func type(_ dtype: DType) -> Int32? {
        switch dtype {
        case .f16: Int32(CK_TASKVECTOR_F16)
        case .bf16: Int32(CK_TASKVECTOR_BF16)
        case .f32: Int32(CK_TASKVECTOR_F32)
        case .f64: Int32(CK_TASKVECTOR_F64)
        default: nil
        }
    }

    /// Edits one segment of the target in place; the closure that ``CheckpointRewriter`` asks for.
    ///
    /// - Returns: Whether the segment took part.
    /// - Throws: `CheckpointError` where the adapter cannot be read.
    package func edit(_ segment: TensorSegment, _ bytes: UnsafeMutableRawBufferPointer) throws -> Bool {
        guard let module = modules[segment.tensor.name], let type = Self.type(segment.tensor.dtype),
            let target = bytes.baseAddress
        else { return false }
        let width = segment.tensor.dtype.bits / 8
        let columns = module.shape[1]
        let elements = segment.bytes.lowerBound / width..<segment.bytes.upperBound / width
        let rows = elements.lowerBound / columns..<(elements.upperBound + columns - 1) / columns
        let product = try Product(module, rows, adapter.file)
        var sums = [Double](repeating: 0, count: columns)
        var delta = [Float](repeating: 0, count: columns)
        let zero = [Float](repeating: 0, count: columns)
        for row in rows {
            product.row(row, into: &sums)
            for column in 0..<columns { delta[column] = Float(sums[column]) }
            let part = (row * columns..<(row + 1) * columns).clamped(to: elements)
            let first = part.lowerBound - row * columns
            delta.withUnsafeBufferPointer { delta in
                guard let delta = delta.baseAddress else { return }
                ck_task_vector(
                    level, type, target + (part.lowerBound - elements.lowerBound) * width,
                    Int32(CK_TASKVECTOR_F32), delta + first, Int32(CK_TASKVECTOR_F32), zero, part.count, scale
                )
            }
        }
        return true
    }

    /// Rows of scale · B · A, or of its transpose.
    private struct Product {
        /// (rank, columns).
        private let wide: [Double]
        /// (rows, rank) of the asked rows, times the scale.
        private var narrow: [Double]
        private let rank: Int
        private let first: Int

        init(_ module: LowRankAdapter.Module, _ rows: Range<Int>, _ file: TensorFile) throws {
            rank = module.rank
            first = rows.lowerBound
            if module.isTransposed {
                // Row i of (B · A)ᵀ is column i of A times Bᵀ.
                let outputs = module.b.shape[0]
                let inputs = module.a.shape[1]
                let a = try file.rows(0..<module.rank, of: module.a)
                let b = try file.rows(0..<outputs, of: module.b)
                var wide = [Double](repeating: 0, count: b.count)
                for output in 0..<outputs {
                    for k in 0..<module.rank { wide[k * outputs + output] = b[output * module.rank + k] }
                }
                self.wide = wide
                narrow = rows.flatMap { row in (0..<module.rank).map { a[$0 * inputs + row] } }
            } else {
                wide = try file.rows(0..<module.rank, of: module.a)
                narrow = try file.rows(rows, of: module.b)
            }
            for index in narrow.indices { narrow[index] *= module.scale }
        }

        func row(_ row: Int, into sums: inout [Double]) {
            let columns = sums.count
            for column in 0..<columns { sums[column] = 0 }
            wide.withUnsafeBufferPointer { wide in
                sums.withUnsafeMutableBufferPointer { sums in
                    for k in 0..<rank {
                        let factor = narrow[(row - first) * rank + k]
                        let source = k * columns
                        for column in 0..<columns { sums[column] += factor * wide[source + column] }
                    }
                }
            }
        }
    }
}
