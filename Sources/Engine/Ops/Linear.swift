// SPDX-License-Identifier: Apache-2.0

import CKernels

/// A projection y(N,out) = x(N,in) · W + b, with the places of W and b in the parameters.
struct Linear: Sendable {
    /// Which dimension of the stored matrix comes first.
    enum Layout: Sendable {
        /// (in, out), as GPT-2's Conv1D stores it.
        case inputsFirst
        /// (out, in), as torch.nn.Linear stores it.
        case outputsFirst
    }

    var weight: Int
    var bias: Int?
    var inputs: Int
    var outputs: Int
    var layout: Layout
    var adapter: Adapter?

    private func matrix(_ parameters: UnsafePointer<Float>, forward: Bool) -> Operand {
        let stored = layout == .inputsFirst
        return Operand(parameters + weight, stride: stored ? outputs : inputs, transposed: stored != forward)
    }

    /// y = x · W + b, or y += x · W + b.
    func forward(
        _ context: ComputeContext, _ parameters: UnsafePointer<Float>, _ x: UnsafePointer<Float>, rows: Int,
        into y: UnsafeMutablePointer<Float>, stride: Int, accumulate: Bool = false
    ) {
        context.multiply(
            rows, outputs, inputs, Operand(x, stride: inputs), matrix(parameters, forward: true),
            beta: accumulate ? 1 : 0, y, stride: stride, bias: bias.map { parameters + $0 })
        if let adapter {
            forward(adapter, context, parameters, x, rows: rows, into: y, stride: stride)
        }
    }

    /// dx = dy · Wᵀ, or dx += dy · Wᵀ.
    func backwardInput(
        _ context: ComputeContext, _ parameters: UnsafePointer<Float>, _ dy: UnsafePointer<Float>,
        stride: Int,
        rows: Int, into dx: UnsafeMutablePointer<Float>, accumulate: Bool = false
    ) {
        context.multiply(
            rows, inputs, outputs, Operand(dy, stride: stride), matrix(parameters, forward: false),
            beta: accumulate ? 1 : 0, dx, stride: inputs)
        if let adapter {
            backwardInput(adapter, context, parameters, dy, stride: stride, rows: rows, into: dx)
        }
    }

    /// dW += xᵀ · dy, db += the column sums of dy, and the gradients of the adapter, of those that are trained.
    func backwardWeight(
        _ context: ComputeContext, _ parameters: UnsafePointer<Float>, _ gradients: GradientTarget,
        x: UnsafePointer<Float>, _ dy: UnsafePointer<Float>, stride: Int, rows: Int
    ) {
        if let adapter {
            backwardWeight(
                adapter, context, parameters, gradients, x: x, dy, stride: stride, rows: rows)
        }
        if let target = gradients[weight] {
            switch layout {
            case .inputsFirst:
                context.multiply(
                    inputs, outputs, rows, Operand(x, stride: inputs, transposed: true),
                    Operand(dy, stride: stride),
                    beta: 1, target, stride: outputs)
            case .outputsFirst:
                context.multiply(
                    outputs, inputs, rows, Operand(dy, stride: stride, transposed: true),
                    Operand(x, stride: inputs),
                    beta: 1, target, stride: inputs)
            }
        }
        if let target = gradients[bias] {
            context.forBlocks(of: 64, in: outputs) { columns, _ in
                context.kernels.pointee.column_sum(
                    target + columns.lowerBound, dy + columns.lowerBound, stride, rows, columns.count)
            }
        }
    }
}
