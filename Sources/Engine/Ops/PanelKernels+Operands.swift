// SPDX-License-Identifier: Apache-2.0

import CKernels

/// Operands that are packed once and multiplied often, on the calling thread.
extension PanelKernels {
    /// Floats that a left operand of so many rows takes.
    func leftSize(rows m: Int, depth k: Int) -> Int { Self.whole(m, rows) * places(k) }

    /// Floats that a right operand of so many columns takes.
    func rightSize(columns n: Int, depth k: Int) -> Int { Self.whole(n, columns) * places(k) }

    /// Packs a(m,k).
    func left(_ target: UnsafeMutablePointer<Float>, _ a: Operand, rows m: Int, depth k: Int) {
        packLeft(target, a.base, a.stride, a.transposed ? 1 : 0, m, k)
        round?(target, leftSize(rows: m, depth: k))
    }

    /// Packs b(k,n).
    func right(_ target: UnsafeMutablePointer<Float>, _ b: Operand, columns n: Int, depth k: Int) {
        packRight(target, b.base, b.stride, b.transposed ? 1 : 0, n, k)
        round?(target, rightSize(columns: n, depth: k))
    }

    /// c(m,n) = a(m,k) · b(k,n) + beta · c of packed operands; beta is 0 or 1.
    func multiply(
        _ m: Int, _ n: Int, _ k: Int, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, beta: Float,
        _ c: UnsafeMutablePointer<Float>, stride: Int
    ) {
        block(m, n, places(k), a, b, c, stride, beta == 0 ? nil : UnsafePointer(c), stride, nil)
    }

    /// The same, where b is the rows from `first` on of an operand that was packed with `depth` rows.
    ///
    /// - Parameter first: A multiple of ``values``.
    func multiply(
        _ m: Int, _ n: Int, _ k: Int, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, from first: Int,
        of depth: Int, beta: Float, _ c: UnsafeMutablePointer<Float>, stride: Int
    ) {
        for column in Swift.stride(from: 0, to: n, by: columns) {
            multiply(
                m, min(columns, n - column), k, a,
                b + column * places(depth) + first / values * columns, beta: beta, c + column, stride: stride)
        }
    }

    /// `size` rounded up to whole parts.
    static func whole(_ size: Int, _ part: Int) -> Int { (size + part - 1) / part * part }
}
