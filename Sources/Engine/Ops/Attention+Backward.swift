// SPDX-License-Identifier: Apache-2.0

import CKernels

extension Attention {
    /// The gradients of queries, keys and values, written over d_qkv (N, width), which is laid out as qkv is.
    ///
    /// - Parameters:
    ///   - qkv: the rows of queries, keys and values of the forward pass.
    ///   - out, dOut: attention output and its gradient (N, heads·D).
    func backward(
        _ context: ComputeContext, qkv: UnsafePointer<Float>, out: UnsafePointer<Float>,
        dOut: UnsafePointer<Float>, logSums: UnsafePointer<Float>, into dQKV: UnsafeMutablePointer<Float>,
        scratch: UnsafeMutablePointer<Float>, scratchStride: Int
    ) {
        let width = heads * headSize
        let stride = columns.width
        let kernels = context.kernels
        let panels = context.panels.kernels
        context.timedTiles(.attention, sequences.count * keyValueHeads) { tile, worker in
            let shared = tile % keyValueHeads
            let sequence = sequences[tile / keyValueHeads]
            let length = sequence.length
            let base = sequence.start * stride + shared * columns.stride
            let (key, value) = (base + columns.key, base + columns.value)
            var scratch = Scratch(scratch + worker * scratchStride)
            func packed(_ b: Operand, columns: Int, depth: Int) -> UnsafeMutablePointer<Float> {
                let target = scratch.take(panels.rightSize(columns: columns, depth: depth))
                panels.right(target, b, columns: columns, depth: depth)
                return target
            }
            let keys = packed(
                Operand(qkv + key, stride: stride, transposed: true), columns: length, depth: headSize)
            let values = packed(
                Operand(qkv + value, stride: stride, transposed: true), columns: length, depth: headSize)
            let keyRows = packed(Operand(qkv + key, stride: stride), columns: headSize, depth: length)
            let queryRows = scratch.take(panels.rightSize(columns: headSize, depth: Self.block))
            let outRows = scratch.take(panels.rightSize(columns: headSize, depth: Self.block))
            let left = scratch.take(
                max(
                    panels.leftSize(rows: Self.block, depth: max(length, headSize)),
                    panels.leftSize(rows: length, depth: Self.block)))
            let delta = scratch.take(Self.block)
            let most = Self.block * Self.stride(length, panels)
            let p = scratch.take(most)
            let ds = scratch.take(most)
            let slopes = softCap == nil ? nil : scratch.take(most)
            // Without a window the last block sees every key, so it can begin the sums that the others add to.
            let isWindowed = firstKey(length - 1) > 0
            if isWindowed {
                for row in 0..<length {
                    for column in [key, value] {
                        (dQKV + column + row * stride).update(repeating: 0, count: headSize)
                    }
                }
            }
            for head in shared * group..<(shared + 1) * group {
                for first in Swift.stride(
                    from: (length - 1) / Self.block * Self.block, through: 0, by: -Self.block)
                {
                    let rows = min(Self.block, length - first)
                    let row = sequence.start + first
                    let begin = firstKey(first, from: 0, panels)
                    let count = first + rows - begin
                    let padded = PanelKernels.whole(count, panels.columns)
                    let ld = Self.stride(count, panels)
                    let beta: Float =
                        !isWindowed && head == shared * group && first + rows == length ? 0 : 1
                    let query = row * stride + columns.query + head * columns.stride
                    let q = Operand(qkv + query, stride: stride)
                    let dO = Operand(dOut + row * width + head * headSize, stride: width)
                    let place = begin * panels.places(headSize)

                    panels.left(left, q, rows: rows, depth: headSize)
                    panels.multiply(rows, padded, headSize, left, keys + place, beta: 0, p, stride: ld)
                    let factor = cap(kernels, p, slopes: slopes, rows: rows, columns: count, stride: ld)
                    kernels.pointee.attention_probabilities(
                        p, ld, logSums + head * tokens + row, rows, count, first - begin, window ?? .max,
                        factor)

                    panels.left(left, dO, rows: rows, depth: headSize)
                    panels.multiply(rows, padded, headSize, left, values + place, beta: 0, ds, stride: ld)
                    kernels.pointee.row_dot(
                        delta, dO.base, width, out + row * width + head * headSize, width, rows, headSize)
                    kernels.pointee.attention_backward(
                        ds, p, ld, delta, rows, count, first - begin, window ?? .max, factor)
                    if let slopes {
                        for row in 0..<rows {
                            kernels.pointee.multiply(ds + row * ld, slopes + row * ld, count)
                        }
                    }

                    // dV += Pᵀ · dO, dQ = dS · K, dK += dSᵀ · Q.
                    panels.left(left, Operand(p, stride: ld, transposed: true), rows: count, depth: rows)
                    panels.right(outRows, dO, columns: headSize, depth: rows)
                    panels.multiply(
                        count, headSize, rows, left, outRows, beta: beta, dQKV + value + begin * stride,
                        stride: stride)
                    panels.left(left, Operand(ds, stride: ld), rows: rows, depth: count)
                    panels.multiply(
                        rows, headSize, count, left, keyRows, from: begin, of: length, beta: 0, dQKV + query,
                        stride: stride)
                    panels.left(left, Operand(ds, stride: ld, transposed: true), rows: count, depth: rows)
                    panels.right(queryRows, q, columns: headSize, depth: rows)
                    panels.multiply(
                        count, headSize, rows, left, queryRows, beta: beta, dQKV + key + begin * stride,
                        stride: stride)
                }
            }
        }
    }
}
