// SPDX-License-Identifier: Apache-2.0

import CKernels

/// Causal attention over packed sequences, by blocks of queries, so that no (T,T) matrix outlives its block.
///
/// Rows of queries, keys and values may lie anywhere with any stride; heads stand side by side in a row.
/// Grouped-query attention: heads/keyValueHeads query heads share one key and value head.
struct Attention {
    let heads: Int
    let keyValueHeads: Int
    let headSize: Int
    let scale: Float
    let sequences: [TokenRun]
    /// N, the number of packed tokens.
    let tokens: Int

    /// Queries that are handled together.
    static let block = 64

    private var group: Int { heads / keyValueHeads }

    /// Floats of scratch memory that each thread needs.
    static func scratch(longest: Int) -> Int { block * (2 * ((longest + 15) & ~15) + 1) }

    /// out(N, heads·D) and, per head, the log-sums of exponentials (heads, N).
    ///
    /// - Parameters:
    ///   - q, stride: queries (N, …).
    ///   - k, v, keyStride: keys and values; a sequence's first key is at its start less its position.
    func forward(
        _ context: ComputeContext, q: UnsafePointer<Float>, stride: Int, k: UnsafePointer<Float>,
        v: UnsafePointer<Float>, keyStride: Int, into out: UnsafeMutablePointer<Float>,
        logSums: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>, scratchStride: Int
    ) {
        var tiles: [(sequence: Int, first: Int)] = []
        for (index, sequence) in sequences.enumerated() {
            for first in Swift.stride(from: 0, to: sequence.length, by: Self.block) {
                tiles.append((index, first))
            }
        }
        let width = heads * headSize
        context.pool.parallel(tiles.count * heads) { tile, worker in
            let head = tile % heads
            let (index, first) = tiles[tile / heads]
            let sequence = sequences[index]
            let rows = min(Self.block, sequence.length - first)
            let row = sequence.start + first
            let position = sequence.position + first
            let columns = position + rows
            let ld = (columns + 15) & ~15
            let scores = scratch + worker * scratchStride
            let shared = head / group * headSize
            gemm(
                rows, columns, headSize, Operand(q + row * stride + head * headSize, stride: stride),
                Operand(k + sequence.start * keyStride + shared, stride: keyStride, transposed: true),
                beta: 0,
                scores, stride: ld)
            context.kernels.pointee.attention_softmax(
                scores, ld, logSums + head * tokens + row, rows, columns, position, scale)
            gemm(
                rows, headSize, columns, Operand(scores, stride: ld),
                Operand(v + sequence.start * keyStride + shared, stride: keyStride), beta: 0,
                out + row * width + head * headSize, stride: width)
        }
    }

    /// The gradients of queries, keys and values, written over d_qkv (N, stride), which is laid out as qkv is.
    ///
    /// - Parameters:
    ///   - qkv: the rows of queries, keys and values of the forward pass.
    ///   - out, dOut: attention output and its gradient (N, heads·D).
    func backward(
        _ context: ComputeContext, qkv: UnsafePointer<Float>, stride: Int, out: UnsafePointer<Float>,
        dOut: UnsafePointer<Float>, logSums: UnsafePointer<Float>, into dQKV: UnsafeMutablePointer<Float>,
        scratch: UnsafeMutablePointer<Float>, scratchStride: Int
    ) {
        let width = heads * headSize
        context.pool.parallel(sequences.count * keyValueHeads) { tile, worker in
            let shared = tile % keyValueHeads
            let sequence = sequences[tile / keyValueHeads]
            let keyColumn = width + shared * headSize
            let valueColumn = keyColumn + keyValueHeads * headSize
            let base = sequence.start * stride
            let k = qkv + base + keyColumn
            let v = qkv + base + valueColumn
            let delta = scratch + worker * scratchStride
            let blocks = (sequence.length + Self.block - 1) / Self.block
            for head in shared * group..<(shared + 1) * group {
                // The last block sees every key, so it can begin the sums that the others add to.
                for index in Swift.stride(from: blocks - 1, through: 0, by: -1) {
                    let first = index * Self.block
                    let rows = min(Self.block, sequence.length - first)
                    let row = sequence.start + first
                    let columns = first + rows
                    let ld = (columns + 15) & ~15
                    let p = delta + Self.block
                    let ds = p + Self.block * ld
                    let begins: Float = head == shared * group && index == blocks - 1 ? 0 : 1
                    let q = Operand(qkv + row * stride + head * headSize, stride: stride)
                    let dO = Operand(dOut + row * width + head * headSize, stride: width)
                    gemm(
                        rows, columns, headSize, q, Operand(k, stride: stride, transposed: true), beta: 0, p,
                        stride: ld)
                    context.kernels.pointee.attention_probabilities(
                        p, ld, logSums + head * tokens + row, rows, columns, first, scale)
                    gemm(
                        columns, headSize, rows, Operand(p, stride: ld, transposed: true), dO, beta: begins,
                        dQKV + base + valueColumn, stride: stride)
                    gemm(
                        rows, columns, headSize, dO, Operand(v, stride: stride, transposed: true), beta: 0,
                        ds, stride: ld)
                    context.kernels.pointee.row_dot(
                        delta, dO.base, width, out + row * width + head * headSize, width, rows, headSize)
                    context.kernels.pointee.attention_backward(ds, p, ld, delta, rows, columns, first, scale)
                    gemm(
                        rows, headSize, columns, Operand(ds, stride: ld), Operand(k, stride: stride), beta: 0,
                        dQKV + row * stride + head * headSize, stride: stride)
                    gemm(
                        columns, headSize, rows, Operand(ds, stride: ld, transposed: true), q, beta: begins,
                        dQKV + base + keyColumn, stride: stride)
                }
            }
        }
    }
}
