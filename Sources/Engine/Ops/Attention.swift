// SPDX-License-Identifier: Apache-2.0

import CKernels

/// Causal attention over packed sequences, by blocks of queries, so that no (T,T) matrix outlives its block.
///
/// Grouped-query attention: heads/keyValueHeads query heads share one key and value head.
struct Attention {
    let heads: Int
    let keyValueHeads: Int
    let headSize: Int
    let scale: Float
    /// a in a·tanh(score/a), which scaled scores pass through.
    let softCap: Float?
    /// Where heads stand in a row of queries, keys and values.
    let columns: HeadColumns
    let sequences: [TokenRun]
    /// N, the number of packed tokens.
    let tokens: Int
    /// How many tokens a token sees, itself among them; all before it unless given.
    var window: Int?

    /// Keys and values that stand elsewhere than beside the queries: those of a cache.
    struct Keys {
        let keys: UnsafePointer<Float>
        let values: UnsafePointer<Float>
        /// From one token to the next, and from one head to the next.
        let stride: Int
        let headStride: Int
        /// From the first key of one text to that of the next; a sequence's keys begin at its start unless given.
        var rowStride: Int?
    }

    /// Queries that are handled together.
    static let block = 64

    private var group: Int { heads / keyValueHeads }

    /// Floats of scratch memory that each thread needs.
    static func scratch(longest: Int, isCapped: Bool) -> Int {
        block * ((isCapped ? 3 : 2) * ((longest + 15) & ~15) + 1)
    }

    /// The first key that any of the queries from `position` on sees.
    private func firstKey(_ position: Int) -> Int { max(0, position - (window ?? .max) + 1) }

    /// out(N, heads·D) and, per head, the log-sums of exponentials (heads, N).
    ///
    /// - Parameters:
    ///   - qkv: rows of queries, keys and values (N, width).
    ///   - cached: keys and values to read instead; a sequence's first key is at its row.
    func forward(
        _ context: ComputeContext, qkv: UnsafePointer<Float>, cached: Keys? = nil,
        into out: UnsafeMutablePointer<Float>, logSums: UnsafeMutablePointer<Float>,
        scratch: UnsafeMutablePointer<Float>, scratchStride: Int
    ) {
        let keys =
            cached
            ?? Keys(
                keys: qkv + columns.key, values: qkv + columns.value, stride: columns.width,
                headStride: columns.stride)
        var tiles: [(sequence: Int, first: Int)] = []
        for (index, sequence) in sequences.enumerated() {
            for first in stride(from: 0, to: sequence.length, by: Self.block) { tiles.append((index, first)) }
        }
        let width = heads * headSize
        let kernels = context.kernels
        context.timedTiles(.attention, tiles.count * heads) { tile, worker in
            let head = tile % heads
            let (index, offset) = tiles[tile / heads]
            let sequence = sequences[index]
            let rows = min(Self.block, sequence.length - offset)
            let row = sequence.start + offset
            let position = sequence.position + offset
            let begin = firstKey(position)
            let count = position + rows - begin
            let ld = (count + 15) & ~15
            let scores = scratch + worker * scratchStride
            let first = keys.rowStride.map { sequence.row * $0 } ?? sequence.start * keys.stride
            let shared = first + begin * keys.stride + head / group * keys.headStride
            gemm(
                rows, count, headSize,
                Operand(
                    qkv + row * columns.width + columns.query + head * columns.stride, stride: columns.width),
                Operand(keys.keys + shared, stride: keys.stride, transposed: true), beta: 0, scores,
                stride: ld)
            let factor = cap(kernels, scores, slopes: nil, rows: rows, columns: count, stride: ld)
            kernels.pointee.attention_softmax(
                scores, ld, logSums + head * tokens + row, rows, count, position - begin, window ?? .max,
                factor)
            gemm(
                rows, headSize, count, Operand(scores, stride: ld),
                Operand(keys.values + shared, stride: keys.stride), beta: 0,
                out + row * width + head * headSize, stride: width)
        }
    }

    /// Caps the rows of scores where that is asked for; returns what they are still to be multiplied by.
    private func cap(
        _ kernels: UnsafePointer<ck_kernels>, _ scores: UnsafeMutablePointer<Float>,
        slopes: UnsafeMutablePointer<Float>?, rows: Int, columns: Int, stride: Int
    ) -> Float {
        guard let softCap else { return scale }
        for row in 0..<rows {
            kernels.pointee.soft_cap(
                scores + row * stride, slopes.map { $0 + row * stride }, scale, softCap, columns)
        }
        return 1
    }

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
        context.timedTiles(.attention, sequences.count * keyValueHeads) { tile, worker in
            let shared = tile % keyValueHeads
            let sequence = sequences[tile / keyValueHeads]
            let base = sequence.start * stride + shared * columns.stride
            let delta = scratch + worker * scratchStride
            let blocks = (sequence.length + Self.block - 1) / Self.block
            // Without a window the last block sees every key, so it can begin the sums that the others add to.
            let isWindowed = firstKey(sequence.length - 1) > 0
            if isWindowed {
                for row in 0..<sequence.length {
                    for column in [columns.key, columns.value] {
                        (dQKV + base + row * stride + column).update(repeating: 0, count: headSize)
                    }
                }
            }
            for head in shared * group..<(shared + 1) * group {
                for index in Swift.stride(from: blocks - 1, through: 0, by: -1) {
                    let first = index * Self.block
                    let rows = min(Self.block, sequence.length - first)
                    let row = sequence.start + first
                    let begin = firstKey(first)
                    let count = first + rows - begin
                    let ld = (count + 15) & ~15
                    let p = delta + Self.block
                    let ds = p + Self.block * ld
                    let slopes = softCap == nil ? nil : ds + Self.block * ld
                    let beta: Float =
                        !isWindowed && head == shared * group && index == blocks - 1 ? 0 : 1
                    let query = row * stride + columns.query + head * columns.stride
                    let key = base + begin * stride + columns.key
                    let value = base + begin * stride + columns.value
                    let q = Operand(qkv + query, stride: stride)
                    let dO = Operand(dOut + row * width + head * headSize, stride: width)
                    gemm(
                        rows, count, headSize, q, Operand(qkv + key, stride: stride, transposed: true),
                        beta: 0,
                        p, stride: ld)
                    let factor = cap(kernels, p, slopes: slopes, rows: rows, columns: count, stride: ld)
                    kernels.pointee.attention_probabilities(
                        p, ld, logSums + head * tokens + row, rows, count, first - begin, window ?? .max,
                        factor)
                    gemm(
                        count, headSize, rows, Operand(p, stride: ld, transposed: true), dO, beta: beta,
                        dQKV + value, stride: stride)
                    gemm(
                        rows, count, headSize, dO, Operand(qkv + value, stride: stride, transposed: true),
                        beta: 0, ds, stride: ld)
                    kernels.pointee.row_dot(
                        delta, dO.base, width, out + row * width + head * headSize, width, rows, headSize)
                    kernels.pointee.attention_backward(
                        ds, p, ld, delta, rows, count, first - begin, window ?? .max, factor)
                    if let slopes {
                        for row in 0..<rows {
                            kernels.pointee.multiply(ds + row * ld, slopes + row * ld, count)
                        }
                    }
                    gemm(
                        rows, headSize, count, Operand(ds, stride: ld), Operand(qkv + key, stride: stride),
                        beta: 0, dQKV + query, stride: stride)
                    gemm(
                        count, headSize, rows, Operand(ds, stride: ld, transposed: true), q, beta: beta,
                        dQKV + key, stride: stride)
                }
            }
        }
    }
}
