// SPDX-License-Identifier: Apache-2.0

import CKernels
import COpenBLAS

/// A row-major matrix in memory, or its transpose.
struct Operand {
    var base: UnsafePointer<Float>
    /// Floats from one stored row to the next.
    var stride: Int
    var transposed = false

    init(_ base: UnsafePointer<Float>, stride: Int, transposed: Bool = false) {
        self.base = base
        self.stride = stride
        self.transposed = transposed
    }

    /// The place of an element.
    func at(_ row: Int, _ column: Int) -> UnsafePointer<Float> {
        base + (transposed ? column * stride + row : row * stride + column)
    }
}

/// c(m,n) = alpha · a(m,k) · b(k,n) + beta · c, on the calling thread. The only way to OpenBLAS.
func gemm(
    _ m: Int, _ n: Int, _ k: Int, alpha: Float = 1, _ a: Operand, _ b: Operand, beta: Float,
    _ c: UnsafeMutablePointer<Float>, stride: Int
) {
    if m == 1 && (!a.transposed || a.stride == 1) {
        // One row: a matrix-vector product, which reads b once and packs nothing.
        cblas_sgemv(
            CblasRowMajor, b.transposed ? CblasNoTrans : CblasTrans, blasint(b.transposed ? n : k),
            blasint(b.transposed ? k : n), alpha, b.base, blasint(b.stride), a.base, 1, beta, c, 1)
        return
    }
    cblas_sgemm(
        CblasRowMajor, a.transposed ? CblasTrans : CblasNoTrans, b.transposed ? CblasTrans : CblasNoTrans,
        blasint(m), blasint(n), blasint(k), alpha, a.base, blasint(a.stride), b.base, blasint(b.stride), beta,
        c,
        blasint(stride))
}

extension ComputeContext {
    /// Up to so many rows of a product are summed as one row is, so that the bits of a row do not depend on how many
    /// stand beside it: texts that are continued together come out as each alone.
    static let independentRows = 16

    /// c(m,n) = a(m,k) · b(k,n) + beta · c (+ bias(n) in each row), on all threads; beta is 0 or 1.
    ///
    /// k is cut by its own size alone and never shared out, so the bits do not depend on the threads.
    func multiply(
        _ m: Int, _ n: Int, _ k: Int, _ a: Operand, _ b: Operand, beta: Float,
        _ c: UnsafeMutablePointer<Float>, stride: Int, bias: UnsafePointer<Float>? = nil
    ) {
        guard m > 0, n > 0 else { return }
        timed(.matrixProducts, operations: 2 * m * n * k) {
            if m <= Self.independentRows, k > 0, !a.transposed {
                multiplyRows(m, n, k, a, b, beta: beta, c, stride: stride, bias: bias)
            } else if let native, k > 0 {
                native.multiply(self, m, n, k, a, b, beta: beta, c, stride: stride, bias: bias)
            } else if k > 0, kernels.pointee.level > 0 || brain != nil {
                panels.multiply(pool, m, n, k, a, b, beta: beta, c, stride: stride, bias: bias)
            } else {
                multiplyTiles(m, n, k, a, b, beta: beta, c, stride: stride, bias: bias)
            }
        }
    }

    /// By OpenBLAS over fixed tiles.
    private func multiplyTiles(
        _ m: Int, _ n: Int, _ k: Int, _ a: Operand, _ b: Operand, beta: Float,
        _ c: UnsafeMutablePointer<Float>, stride: Int, bias: UnsafePointer<Float>?
    ) {
        let tiles = TileGrid(rows: m, columns: n)
        pool.parallel(tiles.count) { tile, _ in
            let (rows, columns) = tiles[tile]
            let target = c + rows.lowerBound * stride + columns.lowerBound
            gemm(
                rows.count, columns.count, k,
                Operand(a.at(rows.lowerBound, 0), stride: a.stride, transposed: a.transposed),
                Operand(b.at(0, columns.lowerBound), stride: b.stride, transposed: b.transposed),
                beta: beta, target, stride: stride)
            if let bias {
                kernels.pointee.add_bias(target, stride, bias + columns.lowerBound, rows.count, columns.count)
            }
        }
    }

    /// Packing nothing; each part of b is read from memory once. Where n is cut, and how many rows there are, changes no
    /// bit.
    private func multiplyRows(
        _ m: Int, _ n: Int, _ k: Int, _ a: Operand, _ b: Operand, beta: Float,
        _ c: UnsafeMutablePointer<Float>, stride: Int, bias: UnsafePointer<Float>?
    ) {
        // Enough parts that threads end together. Where b's rows run along n, a part is wide, as memory is read faster in
        // long runs; where they run along k, any part is one run.
        let width = max(64, min(1024, n / ((b.transposed ? 8 : 2) * pool.threads)) & ~63)
        let table = kernels.pointee
        func multiply(_ x: Operand) {
            let multiply =
                brain == nil
                ? (b.transposed ? table.thin_rows : table.thin_columns)
                : (b.transposed ? table.thin_rows_rounded : table.thin_columns_rounded)
            forBlocks(of: width, in: n) { columns, _ in
                let start = columns.lowerBound
                let y = c + start
                multiply(
                    m, columns.count, k, x.base, x.stride, b.at(0, start), b.stride, y, stride,
                    beta == 0 ? nil : UnsafePointer(y))
                if let bias {
                    for row in 0..<m { table.accumulate(y + row * stride, bias + start, columns.count) }
                }
            }
        }
        guard brain != nil else { return multiply(a) }
        withUnsafeTemporaryAllocation(of: Float.self, capacity: m * k) { rounded in
            guard let base = rounded.baseAddress else { return }
            for row in 0..<m { (base + row * k).initialize(from: a.base + row * a.stride, count: k) }
            table.round_bf16(base, m * k)
            multiply(Operand(base, stride: k))
        }
    }
}

/// A cut of a matrix into nearly equal tiles: large enough to repay packing, enough of them to share out.
struct TileGrid {
    private let rows: Int
    private let columns: Int
    private let tileRows: Int
    private let tileColumns: Int
    private let across: Int
    let count: Int

    init(rows: Int, columns: Int) {
        var height = 512
        var width = 1024
        func pieces(_ size: Int, _ tile: Int) -> Int { (size + tile - 1) / tile }
        while pieces(rows, height) * pieces(columns, width) < 6, height > 128 || width > 256 {
            if width > 256, width >= 2 * height || height <= 128 { width /= 2 } else { height /= 2 }
        }
        // Equal parts, rounded up to whole vectors.
        func even(_ size: Int, _ tile: Int) -> Int { (pieces(size, pieces(size, tile)) + 15) & ~15 }
        self.rows = rows
        self.columns = columns
        tileRows = even(rows, height)
        tileColumns = even(columns, width)
        across = pieces(columns, tileColumns)
        count = pieces(rows, tileRows) * across
    }

    subscript(tile: Int) -> (rows: Range<Int>, columns: Range<Int>) {
        let row = tile / across * tileRows
        let column = tile % across * tileColumns
        return (row..<min(rows, row + tileRows), column..<min(columns, column + tileColumns))
    }
}
