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
    /// Queries for which keys and values are packed at one time in the forward pass: whole blocks.
    private static let span = 4 * block

    var group: Int { heads / keyValueHeads }

    /// Floats of scratch memory that each thread needs, whatever its kernels.
    static func scratch(longest: Int, headSize: Int, isCapped: Bool) -> Int {
        let keys = longest + PanelKernels.mostColumns
        let values = headSize + PanelKernels.mostColumns
        let left = max(
            (block + PanelKernels.mostRows) * max(keys, headSize), (longest + PanelKernels.mostRows) * block)
        return keys * (2 * headSize + values) + 2 * values * block + left + block
            * ((isCapped ? 3 : 2) * keys + 1)
            + 8 * Scratch.unit
    }

    /// The first key that any of the queries from `position` on sees.
    func firstKey(_ position: Int) -> Int { max(0, position - (window ?? .max) + 1) }

    /// The same, at the beginning of a panel that counts from key `start`.
    func firstKey(_ position: Int, from start: Int, _ panels: PanelKernels) -> Int {
        let offset = firstKey(position) - start
        return start + offset - offset % panels.columns
    }

    /// Floats from one row of scores to the next.
    static func stride(_ count: Int, _ panels: PanelKernels) -> Int {
        (PanelKernels.whole(count, panels.columns) + 15) & ~15
    }

    /// Queries of one text and heads that read the same keys and values.
    private struct Tile {
        let sequence: TokenRun
        /// Within the sequence.
        let queries: Range<Int>
        let heads: Range<Int>
    }

    private func tiles() -> [Tile] {
        sequences.flatMap { sequence in
            // A single query is not worth packing for.
            let together = sequence.length == 1 ? 1 : group
            return Swift.stride(from: 0, to: sequence.length, by: Self.span).flatMap { first in
                Swift.stride(from: 0, to: heads, by: together).map { head in
                    Tile(
                        sequence: sequence, queries: first..<min(sequence.length, first + Self.span),
                        heads: head..<head + together)
                }
            }
        }
    }

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
        let tiles = tiles()
        context.timedTiles(.attention, tiles.count) { index, worker in
            let tile = tiles[index]
            let sequence = tile.sequence
            let first = keys.rowStride.map { sequence.row * $0 } ?? sequence.start * keys.stride
            let shared = first + tile.heads.lowerBound / group * keys.headStride
            let query = columns.query + sequence.start * columns.width
            (tile.queries.count == 1 ? forwardOne : forwardSpan)(
                tile, context, qkv + query,
                Operand(keys.keys + shared, stride: keys.stride),
                Operand(keys.values + shared, stride: keys.stride),
                out + sequence.start * heads * headSize, logSums + sequence.start,
                Scratch(scratch + worker * scratchStride))
        }
    }

    /// - Parameters:
    ///   - queries: Those of the first head, from the sequence's first one on; so are `out` and `logSums`.
    ///   - keys: Those of the tile's heads, from position 0 on; so are `values`.
    private func forwardSpan(
        _ tile: Tile, _ context: ComputeContext, _ queries: UnsafePointer<Float>, _ keys: Operand,
        _ values: Operand, _ out: UnsafeMutablePointer<Float>, _ logSums: UnsafeMutablePointer<Float>,
        _ scratch: Scratch
    ) {
        var scratch = scratch
        let panels = context.panels.kernels
        let before = tile.sequence.position
        let start = firstKey(before + tile.queries.lowerBound)
        let depth = before + tile.queries.upperBound - start
        let packedKeys = scratch.take(panels.rightSize(columns: depth, depth: headSize))
        panels.right(
            packedKeys, Operand(keys.at(start, 0), stride: keys.stride, transposed: true), columns: depth,
            depth: headSize)
        let packedValues = scratch.take(panels.rightSize(columns: headSize, depth: depth))
        panels.right(
            packedValues, Operand(values.at(start, 0), stride: values.stride), columns: headSize, depth: depth
        )
        let left = scratch.take(panels.leftSize(rows: Self.block, depth: max(depth, headSize)))
        let scores = scratch.take(Self.block * Self.stride(depth, panels))
        for head in tile.heads {
            for row in Swift.stride(
                from: tile.queries.lowerBound, to: tile.queries.upperBound, by: Self.block)
            {
                let rows = min(Self.block, tile.queries.upperBound - row)
                let begin = firstKey(before + row, from: start, panels)
                let count = before + row + rows - begin
                let ld = Self.stride(count, panels)
                panels.left(
                    left,
                    Operand(queries + row * columns.width + head * columns.stride, stride: columns.width),
                    rows: rows, depth: headSize)
                panels.multiply(
                    rows, PanelKernels.whole(count, panels.columns), headSize, left,
                    packedKeys + (begin - start) * panels.places(headSize), beta: 0, scores, stride: ld)
                let factor = cap(
                    context.kernels, scores, slopes: nil, rows: rows, columns: count, stride: ld)
                context.kernels.pointee.attention_softmax(
                    scores, ld, logSums + head * tokens + row, rows, count, before + row - begin,
                    window ?? .max, factor)
                panels.left(left, Operand(scores, stride: ld), rows: rows, depth: count)
                panels.multiply(
                    rows, headSize, count, left, packedValues, from: begin - start, of: depth, beta: 0,
                    out + row * heads * headSize + head * headSize, stride: heads * headSize)
            }
        }
    }

    /// One query of one head: keys and values are read where they are.
    private func forwardOne(
        _ tile: Tile, _ context: ComputeContext, _ queries: UnsafePointer<Float>, _ keys: Operand,
        _ values: Operand, _ out: UnsafeMutablePointer<Float>, _ logSums: UnsafeMutablePointer<Float>,
        _ scratch: Scratch
    ) {
        var scratch = scratch
        let (head, row) = (tile.heads.lowerBound, tile.queries.lowerBound)
        let position = tile.sequence.position + row
        let begin = firstKey(position)
        let count = position + 1 - begin
        let scores = scratch.take(count)
        gemm(
            1, count, headSize,
            Operand(queries + row * columns.width + head * columns.stride, stride: columns.width),
            Operand(keys.at(begin, 0), stride: keys.stride, transposed: true), beta: 0, scores, stride: count)
        let factor = cap(context.kernels, scores, slopes: nil, rows: 1, columns: count, stride: count)
        context.kernels.pointee.attention_softmax(
            scores, count, logSums + head * tokens + row, 1, count, position - begin, window ?? .max, factor)
        gemm(
            1, headSize, count, Operand(scores, stride: count),
            Operand(values.at(begin, 0), stride: values.stride), beta: 0,
            out + row * heads * headSize + head * headSize, stride: heads * headSize)
    }

    /// Caps the rows of scores where that is asked for; returns what they are still to be multiplied by.
    func cap(
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
}
