// SPDX-License-Identifier: Apache-2.0

import CKernels
import Engine
import Testing

/// Matrix products of every level against plain ones.
@Suite struct ProductKernelTests {
    private let levels: KernelLevels

    init() throws { levels = try KernelLevels() }

    @Test(arguments: KernelLevels.sizes)
    func `matrix products from panels`(size: Int) {
        for (m, n, k) in [(size, 17, 9), (3, size, 33), (29, 40, size), (size, size, 8)] {
            let a = levels.values(m * k, seed: 23), b = levels.values(k * n, seed: 24),
                bias = levels.values(n, seed: 25)
            let start = levels.values(m * n, seed: 26)
            for (left, right) in [(false, false), (true, false), (false, true), (true, true)] {
                for added in [false, true] {
                    levels.compare(size, tolerance: 1e-5, from: start) { kernels, out in
                        let height = (m + kernels.gemm_rows - 1) / kernels.gemm_rows * kernels.gemm_rows
                        let width =
                            (n + kernels.gemm_columns - 1) / kernels.gemm_columns * kernels.gemm_columns
                        // Nothing may be written behind the panels.
                        var x = [Float](repeating: .nan, count: height * k + 1)
                        var y = [Float](repeating: .nan, count: width * k + 1)
                        kernels.gemm_pack_left(&x, a, left ? m : k, left ? 1 : 0, m, k)
                        kernels.gemm_pack_right(&y, b, right ? k : n, right ? 1 : 0, n, k)
                        #expect(x.last?.isNaN == true && y.last?.isNaN == true)
                        #expect(
                            !x.dropLast().contains(where: \.isNaN) && !y.dropLast().contains(where: \.isNaN))
                        out.withUnsafeMutableBufferPointer { out in
                            guard let c = out.baseAddress else { return }
                            kernels.gemm_block(
                                m, n, k, x, y, c, n, added ? UnsafePointer(c) : nil, n, added ? nil : bias)
                        }
                    }
                }
            }
        }
    }

    @Test(arguments: KernelLevels.sizes)
    func `a few rows times a matrix`(size: Int) {
        for (m, n, k) in [
            (1, size, 33), (1, 7, size), (1, size, size), (6, size, 33), (9, 7, size), (4, 3, 40),
        ] {
            let x = levels.values(m * (k + 2), seed: 27)
            let b = levels.values(n * (k + 3), seed: 28), c = levels.values(k * (n + 5), seed: 29)
            for added in [false, true] {
                levels.compare(size, tolerance: 1e-5, from: levels.values(m * (n + 1), seed: 30)) {
                    kernels, out in
                    out.withUnsafeMutableBufferPointer { out in
                        guard let y = out.baseAddress else { return }
                        kernels.thin_rows(
                            m, n, k, x, k + 2, b, k + 3, y, n + 1, added ? UnsafePointer(y) : nil)
                    }
                }
                levels.compare(size, tolerance: 1e-5, from: levels.values(m * (n + 1), seed: 31)) {
                    kernels, out in
                    out.withUnsafeMutableBufferPointer { out in
                        guard let y = out.baseAddress else { return }
                        kernels.thin_columns(
                            m, n, k, x, k + 2, c, n + 5, y, n + 1, added ? UnsafePointer(y) : nil)
                    }
                }
            }
            // Where n is cut, and which rows stand together, changes no bit.
            for kernels in levels.vectors {
                var rows = [Float](repeating: 0, count: m * n), columns = rows, parts = rows, others = rows
                kernels.thin_rows(m, n, k, x, k + 2, b, k + 3, &rows, n, nil)
                kernels.thin_columns(m, n, k, x, k + 2, c, n + 5, &columns, n, nil)
                x.withUnsafeBufferPointer { x in
                    b.withUnsafeBufferPointer { b in
                        c.withUnsafeBufferPointer { c in
                            parts.withUnsafeMutableBufferPointer { parts in
                                others.withUnsafeMutableBufferPointer { others in
                                    guard let x = x.baseAddress, let b = b.baseAddress, let c = c.baseAddress,
                                        let parts = parts.baseAddress, let others = others.baseAddress
                                    else { return }
                                    for row in 0..<m {
                                        let x = x + row * (k + 2)
                                        let y = parts + row * n, z = others + row * n
                                        kernels.thin_rows(1, 1, k, x, k, b, k + 3, y, n, nil)
                                        kernels.thin_rows(1, n - 1, k, x, k, b + k + 3, k + 3, y + 1, n, nil)
                                        kernels.thin_columns(1, 1, k, x, k, c, n + 5, z, n, nil)
                                        kernels.thin_columns(1, n - 1, k, x, k, c + 1, n + 5, z + 1, n, nil)
                                    }
                                }
                            }
                        }
                    }
                }
                #expect(rows == parts && columns == others)
            }
        }
    }

    /// The bfloat16 nearest to each value.
    private func rounded(_ values: [Float]) -> [Float] {
        var values = values
        levels.scalar.round_bf16(&values, values.count)
        return values
    }

    @Test(arguments: KernelLevels.sizes)
    func `a few rows times a matrix that is rounded on the way are those times the rounded matrix`(size: Int)
    {
        for (m, n, k) in [(1, size, 33), (2, 7, size), (6, size, 33), (9, 7, size)] {
            let x = levels.values(m * k, seed: 32)
            let b = levels.values(n * k, seed: 33)
            for kernels in [levels.scalar] + levels.vectors {
                var (wanted, made) = (
                    [Float](repeating: 0, count: m * n), [Float](repeating: 0, count: m * n)
                )
                kernels.thin_rows(m, n, k, x, k, rounded(b), k, &wanted, n, nil)
                kernels.thin_rows_rounded(m, n, k, x, k, b, k, &made, n, nil)
                #expect(made.map(\.bitPattern) == wanted.map(\.bitPattern))
                kernels.thin_columns(m, n, k, x, k, rounded(b), n, &wanted, n, nil)
                kernels.thin_columns_rounded(m, n, k, x, k, b, n, &made, n, nil)
                #expect(made.map(\.bitPattern) == wanted.map(\.bitPattern))
            }
        }
    }

    @Test(
        .enabled(if: ck_pair_kernels_here() != nil, "this processor lacks AVX512_BF16"),
        arguments: KernelLevels.sizes)
    func `products of pairs of bfloat16`(size: Int) throws {
        let kernels = try #require(ck_pair_kernels_here()).pointee
        for (m, n, k) in [(size, 17, 9), (3, size, 33), (29, 40, size), (size, size, 8)] {
            let a = levels.values(m * k, seed: 34), b = levels.values(k * n, seed: 35)
            let bias = levels.values(n, seed: 36), start = levels.values(m * n, seed: 37)
            let (exactA, exactB) = (rounded(a), rounded(b))
            for (left, right) in [(false, false), (true, false), (false, true), (true, true)] {
                let pairs = (k + 1) / 2
                let height = (m + kernels.gemm_rows - 1) / kernels.gemm_rows * kernels.gemm_rows
                let width = (n + kernels.gemm_columns - 1) / kernels.gemm_columns * kernels.gemm_columns
                // Nothing may be written behind the panels, and everything in them.
                var x = [Float](repeating: .nan, count: height * pairs + 1)
                var y = [Float](repeating: .nan, count: width * pairs + 1)
                kernels.gemm_pack_left(&x, a, left ? m : k, left ? 1 : 0, m, k)
                kernels.gemm_pack_right(&y, b, right ? k : n, right ? 1 : 0, n, k)
                #expect(x.last?.isNaN == true && y.last?.isNaN == true)
                let untouched = Float.nan.bitPattern
                #expect(!x.dropLast().contains { $0.bitPattern == untouched })
                #expect(!y.dropLast().contains { $0.bitPattern == untouched })
                for added in [false, true] {
                    var c = start
                    c.withUnsafeMutableBufferPointer { c in
                        guard let c = c.baseAddress else { return }
                        kernels.gemm_block(
                            m, n, pairs, x, y, c, n, added ? UnsafePointer(c) : nil, n, added ? nil : bias)
                    }
                    var worst = 0.0
                    for i in 0..<m {
                        for j in 0..<n {
                            var sum = added ? Double(start[i * n + j]) : Double(bias[j])
                            for l in 0..<k {
                                sum +=
                                    Double(exactA[left ? l * m + i : i * k + l])
                                    * Double(exactB[right ? j * k + l : l * n + j])
                            }
                            worst = max(worst, abs(sum - Double(c[i * n + j])) / max(1, abs(sum)))
                        }
                    }
                    #expect(worst < 1e-5, "\(m) x \(n) x \(k): \(worst)")
                }
            }
        }
    }
}
