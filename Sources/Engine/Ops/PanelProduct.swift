// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Matrix products of packed panels on all threads, and the memory for the panels.
///
/// The right operand is packed once by all threads together and then read by all; each thread packs the rows of the left
/// one that it works on (Goto and van de Geijn 2008; Van Zee and van de Geijn 2015). The cut of k is a function of k
/// alone, and every element is one chain of additions in order of k: how m and n are cut, and for how many threads,
/// changes no bit.
final class PanelProduct: Sendable {
    /// The most places of a panel at a time: the more, the less often is the result read and written. A panel of the left
    /// operand lies in the first-level cache then, one of the right in the second.
    private static let depth = 512
    /// Columns that are worked on at a time.
    private static let width = 4096
    /// Floats of packed right operand that are in memory at a time: 16 MiB.
    private static let capacity = 1 << 22
    /// Panels of the left operand that a thread works on at a time, at most: they lie in its second-level cache.
    private static let height = 16
    /// And at least, where there are enough: each panel of the right operand comes from further away for every one.
    private static let leastHeight = 4
    /// Pieces of work for each thread, so that none waits long for another.
    private static let share = 8

    let kernels: PanelKernels
    private let memory: Mutex<FloatStorage>
    private let leftStride: Int

    init(threads: Int, kernels: PanelKernels) throws(EngineError) {
        self.kernels = kernels
        leftStride = Self.height * kernels.rows * Self.depth + 64
        memory = Mutex(try FloatStorage(count: Self.capacity + threads * leftStride))
    }

    /// c(m,n) = a(m,k) · b(k,n) + beta · c (+ bias(n)); beta is 0 or 1.
    func multiply(
        _ pool: ThreadPool, _ m: Int, _ n: Int, _ k: Int, _ a: Operand, _ b: Operand, beta: Float,
        _ c: UnsafeMutablePointer<Float>, stride: Int, bias: UnsafePointer<Float>?
    ) {
        memory.withLock { memory in
            let panelColumns = kernels.columns
            let width = pieces(pieces(n, pieces(n, Self.width)), panelColumns) * panelColumns
            let depth = (pieces(k, pieces(k, Self.depth * kernels.values)) + 7) & ~7
            let chunk = max(1, Self.capacity / (width * kernels.places(depth))) * depth
            for firstColumn in Swift.stride(from: 0, to: n, by: width) {
                for firstDepth in Swift.stride(from: 0, to: k, by: chunk) {
                    let columns = min(width, n - firstColumn)
                    let part = Part(
                        kernels: kernels, m: m, columns: firstColumn..<firstColumn + columns,
                        slices: Slices(range: firstDepth..<min(k, firstDepth + chunk), depth: depth), a: a,
                        b: b, c: c + firstColumn, stride: stride, bias: bias.map { $0 + firstColumn },
                        adds: beta != 0, right: memory.base,
                        padded: pieces(columns, panelColumns) * panelColumns)
                    part.packRight(pool)
                    part.run(pool, left: memory.base + Self.capacity, leftStride: leftStride)
                }
            }
        }
    }

    /// The product of some columns over some slices of k, whose right operand is packed at one time.
    private struct Part {
        let kernels: PanelKernels
        let m: Int
        let columns: Range<Int>
        let slices: Slices
        let a: Operand
        let b: Operand
        /// The first of the columns.
        let c: UnsafeMutablePointer<Float>
        let stride: Int
        let bias: UnsafePointer<Float>?
        let adds: Bool
        /// The packed right operand: slice after slice, panel after panel.
        let right: UnsafeMutablePointer<Float>
        /// The number of columns with those that fill the last panel.
        let padded: Int

        /// The panels of a slice from one column on.
        private func panels(_ slice: Range<Int>, _ column: Int) -> UnsafeMutablePointer<Float> {
            right + kernels.places(slice.lowerBound - slices.range.lowerBound) * padded
                + column * kernels.places(slice.count)
        }

        func packRight(_ pool: ThreadPool) {
            let group = 4 * kernels.columns
            let groups = pieces(columns.count, group)
            pool.parallel(groups * slices.count) { tile, _ in
                let slice = slices[tile / groups]
                let column = tile % groups * group
                kernels.right(
                    panels(slice, column),
                    Operand(
                        b.at(slice.lowerBound, columns.lowerBound + column), stride: b.stride,
                        transposed: b.transposed),
                    columns: min(group, columns.count - column), depth: slice.count)
            }
        }

        /// - Parameter left: Each thread's memory for panels of the left operand.
        func run(_ pool: ThreadPool, left: UnsafeMutablePointer<Float>, leftStride: Int) {
            let grid = Grid(
                rows: m, columns: columns.count, panelRows: kernels.rows, panelColumns: kernels.columns,
                threads: pool.threads)
            pool.parallel(grid.count) { tile, worker in
                let (rows, span) = grid[tile]
                let panels = left + worker * leftStride
                let target = c + rows.lowerBound * stride + span.lowerBound
                for index in 0..<slices.count {
                    let slice = slices[index]
                    kernels.left(
                        panels,
                        Operand(
                            a.at(rows.lowerBound, slice.lowerBound), stride: a.stride,
                            transposed: a.transposed),
                        rows: rows.count, depth: slice.count)
                    let begins = slice.lowerBound == 0
                    kernels.block(
                        rows.count, span.count, kernels.places(slice.count), panels,
                        self.panels(slice, span.lowerBound),
                        target, stride, begins && !adds ? nil : UnsafePointer(target), stride,
                        begins ? bias.map { $0 + span.lowerBound } : nil)
                }
            }
        }
    }

    /// A range of k in slices of one depth, the last one shorter.
    private struct Slices {
        let range: Range<Int>
        let depth: Int
        var count: Int { pieces(range.count, depth) }
        subscript(index: Int) -> Range<Int> {
            let start = range.lowerBound + index * depth
            return start..<min(range.upperBound, start + depth)
        }
    }

    /// A cut of the result into whole panels by whole panels, enough pieces for all threads.
    private struct Grid {
        private let rows: Int
        private let columns: Int
        private let panelRows: Int
        private let panelColumns: Int
        private let down: Int
        private let across: Int
        var count: Int { down * across }

        init(rows: Int, columns: Int, panelRows: Int, panelColumns: Int, threads: Int) {
            self.rows = rows
            self.columns = columns
            self.panelRows = panelRows
            self.panelColumns = panelColumns
            let wanted = PanelProduct.share * threads
            let panels = pieces(rows, panelRows)
            let fewest = pieces(panels, PanelProduct.height)
            // Rather flat than narrow: pieces beside each other pack the same rows.
            down = max(fewest, min(wanted, pieces(panels, PanelProduct.leastHeight)))
            across = down >= wanted ? 1 : max(1, min(pieces(wanted, down), columns / 256))
        }

        subscript(tile: Int) -> (rows: Range<Int>, columns: Range<Int>) {
            func part(_ index: Int, of parts: Int, _ size: Int, _ panel: Int) -> Range<Int> {
                let panels = pieces(size, panel)
                return index * panels / parts * panel..<min(size, (index + 1) * panels / parts * panel)
            }
            return (
                part(tile / across, of: down, rows, panelRows),
                part(tile % across, of: across, columns, panelColumns)
            )
        }
    }
}

/// How many parts of `part` a size has, the last one counted in full.
private func pieces(_ size: Int, _ part: Int) -> Int { (size + part - 1) / part }
