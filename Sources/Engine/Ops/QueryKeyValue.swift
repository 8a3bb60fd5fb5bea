// SPDX-License-Identifier: Apache-2.0

import CKernels

/// Where heads stand in a row of queries, keys and values.
///
/// Either all queries, then all keys, then all values, or the three of each head together.
struct HeadColumns: Sendable {
    /// The columns of the first query, key and value head.
    let query = 0
    let key: Int
    let value: Int
    /// From one head to the next.
    let stride: Int
    let width: Int

    init(_ c: ModelConfiguration) {
        stride = c.interleavesHeads ? 3 * c.headSize : c.headSize
        key = c.interleavesHeads ? c.headSize : c.attentionWidth
        value = c.interleavesHeads ? 2 * c.headSize : c.attentionWidth + c.keyWidth
        width = c.qkvWidth
    }
}

/// What happens to queries, keys and values between their projections and attention: clipping or norms, then
/// rotation. All of it is one token's own business.
struct QueryKeyValue {
    /// Heads of one row that are normalised by the same weights.
    struct Group {
        let norm: Norm
        /// The first one's column.
        let column: Int
        let count: Int
        /// Values that are normalised together.
        let width: Int
        /// Place of the first one's statistics in those of a token.
        let statistics: Int
    }

    /// What the forward pass keeps for one block.
    struct Kept {
        /// Rows as the projections wrote them, as far as they are clipped or normalised: (N, `keptWidth`).
        var values: UnsafeMutablePointer<Float>
        /// Of the norms: (N, `headStatistics`).
        var statistics: Norm.Statistics
    }

    private let c: ModelConfiguration
    private let columns: HeadColumns
    private let groups: [Group]
    /// The rotation of the layer, if there is one.
    private let rotary: RotaryTable?

    init(_ configuration: ModelConfiguration, _ block: ModelLayout.Block, rotary: RotaryTable?) {
        c = configuration
        columns = HeadColumns(configuration)
        self.rotary = rotary
        var groups: [Group] = []
        var statistics = 0
        for (norms, column, heads) in [
            (block.queryNorms, columns.query, c.heads), (block.keyNorms, columns.key, c.keyValueHeads),
        ] {
            var column = column
            let total = heads * c.headSize
            for norm in norms {
                let width = if case .row = c.queryKeyNorm { total } else { c.headSize }
                let count = total / width / norms.count
                groups.append(
                    Group(norm: norm, column: column, count: count, width: width, statistics: statistics))
                column += count * width
                statistics += count
            }
        }
        self.groups = groups
    }

    /// Clips or normalises, and rotates the rows of `qkv` (N, width).
    func forward(
        _ context: ComputeContext, _ parameters: UnsafePointer<Float>, _ qkv: UnsafeMutablePointer<Float>,
        positions: [Int32], _ kept: Kept
    ) {
        let kernels = context.kernels
        context.forRows(positions.count, width: columns.width) { rows in
            if let limit = c.queryKeyValueClip {
                let first = rows.lowerBound * columns.width
                let count = rows.count * columns.width
                (kept.values + first).update(from: qkv + first, count: count)
                kernels.pointee.clip(qkv + first, limit, count)
            }
            if !groups.isEmpty {
                for row in rows {
                    let target = qkv + row * columns.width
                    let source = kept.values + row * c.keptWidth
                    source.update(from: target, count: c.keptWidth)
                    for group in groups {
                        group.norm.forward(
                            kernels, parameters, source + group.column, rows: group.count,
                            columns: group.width, epsilon: c.normalizationEpsilon,
                            into: target + group.column,
                            kept.statistics.rows(from: row * c.headStatistics + group.statistics))
                    }
                }
            }
            rotate(kernels, qkv, rows, positions, direction: 1)
        }
    }

    /// Turns the gradients of what attention reads, `gradient` (N, width), into those of what the projections wrote;
    /// the gradients of the norms are added to `gradients`.
    ///
    /// - Parameter scratch: `keptWidth` floats for each thread, `scratchStride` apart.
    func backward(
        _ context: ComputeContext, _ parameters: UnsafePointer<Float>,
        _ gradients: GradientTarget, _ gradient: UnsafeMutablePointer<Float>, positions: [Int32],
        _ kept: Kept, scratch: UnsafeMutablePointer<Float>, scratchStride: Int
    ) {
        let kernels = context.kernels
        context.forRows(positions.count, width: columns.width) { rows in
            rotate(kernels, gradient, rows, positions, direction: -1)
            if let limit = c.queryKeyValueClip {
                let first = rows.lowerBound * columns.width
                kernels.pointee.clip_backward(
                    gradient + first, kept.values + first, limit, rows.count * columns.width)
            }
        }
        guard !groups.isEmpty else { return }
        // The weights' gradients first: then those of the input take the place of what they are made from. Each sum
        // runs over the rows in order, on one thread.
        for group in groups {
            context.forBlocks(of: 64, in: group.width) { block, _ in
                for row in positions.indices {
                    group.norm.backwardWeight(
                        kernels, gradients, dy: gradient + row * columns.width + group.column,
                        x: kept.values + row * c.keptWidth + group.column,
                        kept.statistics.rows(from: row * c.headStatistics + group.statistics),
                        rows: group.count, columns: block, stride: group.width)
                }
            }
        }
        context.forBlocks(of: max(1, 16384 / columns.width), in: positions.count) { rows, worker in
            let dy = scratch + worker * scratchStride
            for row in rows {
                let dx = gradient + row * columns.width
                dy.update(from: dx, count: c.keptWidth)
                dx.update(repeating: 0, count: c.keptWidth)
                for group in groups {
                    group.norm.backwardInput(
                        kernels, parameters, dy: dy + group.column,
                        x: kept.values + row * c.keptWidth + group.column,
                        kept.statistics.rows(from: row * c.headStatistics + group.statistics),
                        rows: group.count, columns: group.width, into: dx + group.column)
                }
            }
        }
    }

    /// Rotates the query and key heads of some rows, or their gradients back.
    private func rotate(
        _ kernels: UnsafePointer<ck_kernels>, _ x: UnsafeMutablePointer<Float>, _ rows: Range<Int>,
        _ positions: [Int32], direction: Float
    ) {
        guard let rotary else { return }
        positions.withUnsafeBufferPointer { positions in
            guard let base = positions.baseAddress else { return }
            for (column, heads) in [(columns.query, c.heads), (columns.key, c.keyValueHeads)] {
                kernels.pointee.rotary(
                    x + rows.lowerBound * columns.width + column, columns.width, rotary.cosines.base,
                    rotary.sines.base, base + rows.lowerBound, rows.count, heads, columns.stride, rotary.size,
                    direction)
            }
        }
    }
}
