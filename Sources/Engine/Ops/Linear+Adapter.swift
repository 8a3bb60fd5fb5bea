// SPDX-License-Identifier: Apache-2.0

import CKernels

extension Linear {
    /// A low-rank addition to the projection, with the places of its two matrices in the parameters.
    struct Adapter: Sendable, Hashable {
        /// (rank, in).
        var a: Int
        /// (out, rank).
        var b: Int
        var rank: Int
        var scale: Float
    }

    /// y += scale · (x · Aᵀ) · Bᵀ.
    func forward(
        _ adapter: Adapter, _ context: ComputeContext, _ parameters: UnsafePointer<Float>,
        _ x: UnsafePointer<Float>, rows: Int, into y: UnsafeMutablePointer<Float>, stride: Int
    ) {
        withNarrow(adapter, rows) { narrow in
            shrink(adapter, context, parameters, x, rows: rows, into: narrow)
            context.multiply(
                rows, outputs, adapter.rank, Operand(narrow, stride: adapter.rank),
                Operand(parameters + adapter.b, stride: adapter.rank, transposed: true), beta: 1, y,
                stride: stride)
        }
    }

    /// dx += scale · (dy · B) · A.
    func backwardInput(
        _ adapter: Adapter, _ context: ComputeContext, _ parameters: UnsafePointer<Float>,
        _ dy: UnsafePointer<Float>, stride: Int, rows: Int, into dx: UnsafeMutablePointer<Float>
    ) {
        withNarrow(adapter, rows) { narrow in
            shrinkGradient(adapter, context, parameters, dy, stride: stride, rows: rows, into: narrow)
            context.multiply(
                rows, inputs, adapter.rank, Operand(narrow, stride: adapter.rank),
                Operand(parameters + adapter.a, stride: inputs), beta: 1, dx, stride: inputs)
        }
    }

    /// dA += scale · (dy · B)ᵀ · x and dB += scale · dyᵀ · (x · Aᵀ).
    func backwardWeight(
        _ adapter: Adapter, _ context: ComputeContext, _ parameters: UnsafePointer<Float>,
        _ gradients: GradientTarget, x: UnsafePointer<Float>, _ dy: UnsafePointer<Float>, stride: Int,
        rows: Int
    ) {
        withNarrow(adapter, rows) { narrow in
            if let target = gradients[adapter.a] {
                shrinkGradient(adapter, context, parameters, dy, stride: stride, rows: rows, into: narrow)
                context.multiply(
                    adapter.rank, inputs, rows, Operand(narrow, stride: adapter.rank, transposed: true),
                    Operand(x, stride: inputs), beta: 1, target, stride: inputs)
            }
            if let target = gradients[adapter.b] {
                shrink(adapter, context, parameters, x, rows: rows, into: narrow)
                context.multiply(
                    outputs, adapter.rank, rows, Operand(dy, stride: stride, transposed: true),
                    Operand(narrow, stride: adapter.rank), beta: 1, target, stride: adapter.rank)
            }
        }
    }

    /// W += scale · B · A, and B = 0: the projection computes what it computed with the adapter.
    func merge(_ adapter: Adapter, _ context: ComputeContext, _ parameters: UnsafeMutablePointer<Float>) {
        let a = Operand(parameters + adapter.a, stride: inputs)
        withNarrow(adapter, outputs) { scaled in
            let count = outputs * adapter.rank
            context.kernels.pointee.scale(scaled, parameters + adapter.b, adapter.scale, count)
            switch layout {
            case .outputsFirst:
                context.multiply(
                    outputs, inputs, adapter.rank, Operand(scaled, stride: adapter.rank), a, beta: 1,
                    parameters + weight, stride: inputs)
            case .inputsFirst:
                context.multiply(
                    inputs, outputs, adapter.rank, Operand(a.base, stride: inputs, transposed: true),
                    Operand(scaled, stride: adapter.rank, transposed: true), beta: 1, parameters + weight,
                    stride: outputs)
            }
            (parameters + adapter.b).update(repeating: 0, count: count)
        }
    }

    /// scale · x · Aᵀ (N, rank).
    private func shrink(
        _ adapter: Adapter, _ context: ComputeContext, _ parameters: UnsafePointer<Float>,
        _ x: UnsafePointer<Float>, rows: Int, into narrow: UnsafeMutablePointer<Float>
    ) {
        context.multiply(
            rows, adapter.rank, inputs, Operand(x, stride: inputs),
            Operand(parameters + adapter.a, stride: inputs, transposed: true), beta: 0, narrow,
            stride: adapter.rank)
        context.kernels.pointee.scale(narrow, narrow, adapter.scale, rows * adapter.rank)
    }

    /// scale · dy · B (N, rank).
    private func shrinkGradient(
        _ adapter: Adapter, _ context: ComputeContext, _ parameters: UnsafePointer<Float>,
        _ dy: UnsafePointer<Float>, stride: Int, rows: Int, into narrow: UnsafeMutablePointer<Float>
    ) {
        context.multiply(
            rows, adapter.rank, outputs, Operand(dy, stride: stride),
            Operand(parameters + adapter.b, stride: adapter.rank), beta: 0, narrow, stride: adapter.rank)
        context.kernels.pointee.scale(narrow, narrow, adapter.scale, rows * adapter.rank)
    }

    private func withNarrow(_ adapter: Adapter, _ rows: Int, _ body: (UnsafeMutablePointer<Float>) -> Void) {
        let bytes = max(1, rows * adapter.rank) * MemoryLayout<Float>.stride
        let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
        defer { memory.deallocate() }
        body(memory.bindMemory(to: Float.self, capacity: max(1, rows * adapter.rank)))
    }
}
