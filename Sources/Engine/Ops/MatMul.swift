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

    /// The same matrix from `row` on.
    func rows(from row: Int) -> UnsafePointer<Float> { base + (transposed ? row : row * stride) }
    /// The same matrix from `column` on.
    func columns(from column: Int) -> UnsafePointer<Float> { base + (transposed ? column * stride : column) }
}

/// c(m,n) = alpha · a(m,k) · b(k,n) + beta · c, on the calling thread. The only way to sgemm.
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
    /// Up to so many rows of a product are computed one by one, so that the bits of a row do not depend on how many
    /// stand beside it: texts that are continued together come out as each alone.
    static let independentRows = 16

    /// c(m,n) = a(m,k) · b(k,n) + beta · c (+ bias(n) in each row), over tiles of m x n on all threads.
    ///
    /// The tiles are a function of m and n alone and k is never split: the bits do not depend on the threads.
    func multiply(
        _ m: Int, _ n: Int, _ k: Int, _ a: Operand, _ b: Operand, beta: Float,
        _ c: UnsafeMutablePointer<Float>, stride: Int, bias: UnsafePointer<Float>? = nil
    ) {
        guard m > 0, n > 0 else { return }
        if m <= Self.independentRows, !a.transposed {
            return multiplyRows(m, n, k, a, b, beta: beta, c, stride: stride, bias: bias)
        }
        let tiles = TileGrid(rows: m, columns: n)
        pool.parallel(tiles.count) { tile, _ in
            let (rows, columns) = tiles[tile]
            let target = c + rows.lowerBound * stride + columns.lowerBound
            gemm(
                rows.count, columns.count, k,
                Operand(a.rows(from: rows.lowerBound), stride: a.stride, transposed: a.transposed),
                Operand(b.columns(from: columns.lowerBound), stride: b.stride, transposed: b.transposed),
                beta: beta, target, stride: stride)
            if let bias {
                kernels.pointee.add_bias(target, stride, bias + columns.lowerBound, rows.count, columns.count)
            }
        }
    }
}

extension ComputeContext {
    /// ``multiply(_:_:_:_:_:beta:_:stride:bias:)`` row by row; each tile of b is read from memory once.
    private func multiplyRows(
        _ m: Int, _ n: Int, _ k: Int, _ a: Operand, _ b: Operand, beta: Float,
        _ c: UnsafeMutablePointer<Float>, stride: Int, bias: UnsafePointer<Float>?
    ) {
        let tiles = TileGrid(rows: 1, columns: n)
        pool.parallel(tiles.count) { tile, _ in
            let columns = tiles[tile].columns
            let part = Operand(
                b.columns(from: columns.lowerBound), stride: b.stride, transposed: b.transposed)
            for row in 0..<m {
                let target = c + row * stride + columns.lowerBound
                gemm(
                    1, columns.count, k, Operand(a.rows(from: row), stride: a.stride), part, beta: beta,
                    target, stride: stride)
                if let bias {
                    kernels.pointee.add_bias(target, stride, bias + columns.lowerBound, 1, columns.count)
                }
            }
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
