// SPDX-License-Identifier: Apache-2.0

import CKernels
import Engine
import Foundation
import Testing

/// Every vector kernel against its scalar twin, over sizes with all kinds of tails, and against itself on the
/// other vector levels, bit for bit.
@Suite struct KernelTests {
    static let sizes = KernelLevels.sizes

    private let levels: KernelLevels

    init() throws { levels = try KernelLevels() }

    @Test(arguments: sizes, [true, false])
    func `norms`(size: Int, centred: Bool) {
        let rows = 3
        let x = levels.values(rows * size, seed: 1), gamma = levels.values(size, seed: 2),
            beta = levels.values(size, seed: 3)
        let dy = levels.values(rows * size, seed: 4)
        // y, mean, rstd
        levels.compare(size, tolerance: 1e-5, from: [Float](repeating: 0, count: rows * size + 2 * rows)) {
            k, out in
            out.withUnsafeMutableBufferPointer { out in
                let base = out.baseAddress!
                k.norm_forward(
                    base, centred ? base + rows * size : nil, base + rows * size + rows, x, gamma, 0,
                    centred ? beta : nil, rows, size, 1e-5)
            }
        }
        let mean: [Float] = [0.1, -0.2, 0.3], rstd: [Float] = [0.7, 0.9, 1.1]
        levels.compare(size, tolerance: 1e-5, from: dy) { k, out in
            k.norm_backward_input(&out, dy, x, gamma, 0, centred ? mean : nil, rstd, rows, size)
        }
        // Factors of 1 + gamma, and none at all.
        for factors in [gamma, nil] {
            levels.compare(size, tolerance: 1e-5, from: [Float](repeating: 0, count: rows * size + 2 * rows))
            {
                k, out in
                out.withUnsafeMutableBufferPointer { out in
                    let base = out.baseAddress!
                    k.norm_forward(
                        base, centred ? base + rows * size : nil, base + rows * size + rows, x, factors, 1,
                        nil, rows, size, 1e-5)
                }
            }
            levels.compare(size, tolerance: 1e-5, from: dy) { k, out in
                k.norm_backward_input(&out, dy, x, factors, 1, centred ? mean : nil, rstd, rows, size)
            }
        }
        levels.compare(size, from: levels.values(2 * size, seed: 5)) { k, out in
            out.withUnsafeMutableBufferPointer { out in
                let base = out.baseAddress!
                k.norm_backward_weight(
                    base, centred ? base + size : nil, dy, x, centred ? mean : nil, rstd, rows, size, size)
            }
        }
    }

    @Test(arguments: sizes)
    func `sums and elementwise operations`(size: Int) {
        let a = levels.values(3 * size, seed: 6), b = levels.values(3 * size, seed: 7)
        levels.compare(size, from: a) { k, out in k.add_bias(&out, size, b, 3, size) }
        levels.compare(size, from: b) { k, out in k.column_sum(&out, a, size, 3, size) }
        levels.compare(size, from: b) { k, out in k.add(&out, a, b, 3 * size) }
        levels.compare(size, from: b) { k, out in k.accumulate(&out, a, 3 * size) }
        levels.compare(size, from: b) { k, out in k.scale(&out, a, 0.3, 3 * size) }
        levels.compare(size, from: b) { k, out in k.multiply(&out, a, 3 * size) }
        levels.compare(size, from: b) { k, out in k.clip(&out, 0.7, 3 * size) }
        levels.compare(size, from: b) { k, out in k.clip_backward(&out, a, 0.7, 3 * size) }
        levels.compare(size, tolerance: 1e-5, from: [0, 0, 0]) { k, out in
            k.row_dot(&out, a, size, b, size, 3, size)
        }
    }

    @Test(arguments: sizes)
    func `activations`(size: Int) {
        let extremes: [Float] = [0, -0.0, 1e-20, -1e-20, 5, -5, 20, -20, 1e4, -1e4, -88, 88]
        let x = (levels.values(2 * size, seed: 8, spread: 4) + extremes), dy = levels.values(x.count, seed: 9)
        levels.compare(size, from: x) { k, out in k.gelu_forward(&out, x, x.count) }
        levels.compare(size, tolerance: 4e-6, from: x) { k, out in k.gelu_backward(&out, dy, x, x.count) }
        levels.compare(size, from: x) { k, out in k.gelu_erf_forward(&out, x, x.count) }
        levels.compare(size, tolerance: 4e-6, from: x) { k, out in k.gelu_erf_backward(&out, dy, x, x.count) }
        let pairs = levels.values(4 * size, seed: 10, spread: 4)
        levels.compare(size, from: dy) { k, out in k.swiglu_forward(&out, pairs, 2, size) }
        levels.compare(size, from: pairs) { k, out in
            k.swiglu_backward(&out, levels.values(2 * size, seed: 11), pairs, 2, size)
        }
        levels.compare(size, from: dy) { k, out in k.geglu_forward(&out, pairs, 2, size) }
        levels.compare(size, tolerance: 4e-6, from: pairs) { k, out in
            k.geglu_backward(&out, levels.values(2 * size, seed: 11), pairs, 2, size)
        }
    }

    @Test func `the exact gelu keeps its relative accuracy in the tail`() {
        // x · P(X ≤ x) from SciPy: 0.5 * x * erfc(-x / sqrt(2)).
        let known: [(Float, Float)] = [
            (-8, -4.97676846e-15), (-5, -1.43325786e-06), (-3, -0.00404969409), (-1, -0.158655254),
            (-0.5, -0.154268769),
            (0.5, 0.345731231), (1, 0.841344746), (3, 2.99595031), (5, 4.99999857), (8, 8),
        ]
        let x = known.map(\.0)
        for kernels in [levels.scalar] + levels.vectors {
            var y = x
            kernels.gelu_erf_forward(&y, x, x.count)
            for (actual, (x, expected)) in zip(y, known) {
                #expect(
                    abs(actual - expected) <= 1e-6 * abs(expected), "gelu(\(x)) is \(expected), not \(actual)"
                )
            }
        }
    }

    @Test(arguments: sizes)
    func `soft caps and their slopes`(size: Int) {
        let x = levels.values(size, seed: 23, spread: 30) + [0, -0.0, 1e-20, 500, -500, 1e9]
        for (factor, cap) in [(Float(0.25), Float(5)), (1, 30)] {
            levels.compare(size, from: x + x) { k, out in
                out.withUnsafeMutableBufferPointer { out in
                    k.soft_cap(out.baseAddress!, out.baseAddress! + x.count, factor, cap, x.count)
                }
            }
            for kernels in [levels.scalar] + levels.vectors {
                var capped = x
                var small: [Float] = [1e-6, -1e-6]
                kernels.soft_cap(&capped, nil, factor, cap, x.count)
                kernels.soft_cap(&small, nil, factor, cap, 2)
                #expect(capped.allSatisfy { abs($0) <= cap })
                #expect(
                    zip(small, [1e-6, -1e-6]).allSatisfy { abs($0 - factor * $1) <= 1e-6 * abs(factor * $1) })
            }
        }
    }

    @Test(arguments: [2, 6, 16, 30, 32, 34, 64, 80, 128])
    func `rotation, and that it undoes itself`(rotary: Int) {
        let head = rotary + 3, heads = 2, rows = 3, ld = heads * head + 5
        let angles = levels.values(4 * rotary / 2, seed: 12)
        let cosines = angles.map { Float(cos(Double($0))) }, sines = angles.map { Float(sin(Double($0))) }
        let positions: [Int32] = [3, 0, 2], x = levels.values(rows * ld, seed: 13)
        levels.compare(rotary, from: x) { k, out in
            k.rotary(&out, ld, cosines, sines, positions, rows, heads, head, rotary, 1)
        }
        for kernels in levels.vectors {
            var turned = x
            kernels.rotary(&turned, ld, cosines, sines, positions, rows, heads, head, rotary, 1)
            #expect(turned != x)
            kernels.rotary(&turned, ld, cosines, sines, positions, rows, heads, head, rotary, -1)
            #expect(zip(turned, x).allSatisfy { abs($0 - $1) <= 1e-6 * max(1, abs($1)) * 4 })
        }
    }

    @Test(arguments: sizes)
    func `causal softmax and its gradient`(size: Int) {
        let rows = min(size, 5), first = size - rows, ld = size + 3
        let scores = levels.values(rows * ld, seed: 14, spread: 5), delta = levels.values(rows, seed: 15)
        let logSums = [Float](repeating: 6, count: rows)
        for window in [Int.max, 1, 7, 33] {
            levels.compare(size, from: scores + [Float](repeating: 0, count: rows)) { k, out in
                out.withUnsafeMutableBufferPointer { out in
                    let base = out.baseAddress!
                    k.attention_softmax(base, ld, base + rows * ld, rows, size, first, window, 0.4)
                }
            }
            levels.compare(size, from: scores) { k, out in
                k.attention_probabilities(&out, ld, logSums, rows, size, first, window, 0.4)
            }
            levels.compare(size, from: scores) { k, out in
                k.attention_backward(
                    &out, levels.values(rows * ld, seed: 16), ld, delta, rows, size, first, window, 0.4)
            }
            for kernels in levels.vectors {
                var p = scores, sums = logSums
                kernels.attention_softmax(&p, ld, &sums, rows, size, first, window, 0.4)
                for row in 0..<rows {
                    for column in 0..<size {
                        let isSeen = column <= first + row && column > first + row - window
                        #expect((p[row * ld + column] > 0) == isSeen)
                    }
                }
            }
        }
    }

    @Test(arguments: sizes)
    func `losses and their gradients`(size: Int) {
        let logits = levels.values(size, seed: 17, spread: 6),
            reference = levels.values(size, seed: 18, spread: 6)
        for scale in [Float(0), 0.25] {
            levels.compare(size, from: logits + [0, 0]) { k, out in
                let result = k.cross_entropy(&out, size, size / 2, scale)
                out[size] = result.loss
                out[size + 1] = Float(result.correct)
            }
        }
        levels.compare(size, tolerance: 4e-6, from: logits + [0]) { k, out in
            var base = reference
            out[size] = k.divergence(&out, &base, size, 0.25).loss
        }
        for kernels in [levels.scalar] + levels.vectors {
            var copy = logits
            let best = kernels.argmax(logits, size)
            #expect(logits[best] == logits.max() && kernels.cross_entropy(&copy, size, best, 0).correct == 1)
            // Of equal logits the first one wins.
            var equal = [Float](repeating: 2, count: size + 1)
            #expect(kernels.argmax(equal, size + 1) == 0)
            #expect(kernels.cross_entropy(&equal, size + 1, size, 0).correct == 0)
            var broken = logits
            broken[size / 2] = .nan
            #expect(kernels.argmax(broken, size) == -1)
            #expect(kernels.cross_entropy(&broken, size, 0, 0).loss.isNaN)
        }
    }

    @Test(arguments: sizes)
    func `moments of log-probabilities`(size: Int) {
        for (spread, offset) in [(0.1, Float(0)), (6, 40), (30, -200)] {
            let logits = levels.values(size, seed: 30, spread: spread).map { $0 + offset }
            let exact = levels.scalar.log_moments(logits, size)
            for kernels in levels.vectors {
                let moments = kernels.log_moments(logits, size)
                #expect(abs(moments.mean - exact.mean) <= 4e-6 * max(1, abs(exact.mean)))
                #expect(abs(moments.variance - exact.variance) <= 1e-5 * exact.variance + 1e-9)
            }
        }
    }

    @Test(arguments: sizes)
    func `AdamW`(size: Int) {
        let g = levels.values(size, seed: 19)
        let m = levels.values(size, seed: 20), v = levels.values(size, seed: 21).map(abs),
            w = levels.values(size, seed: 22)
        var step = ck_adamw_step(
            decay: 0.9999, one_minus_beta1: 0.1, beta2: 0.999, one_minus_beta2: 0.001,
            bias_correction2_sqrt: 0.2,
            epsilon: 1e-8, negative_step_size: -0.01)
        levels.compare(size, from: w + m + v) { k, out in
            out.withUnsafeMutableBufferPointer { out in
                let base = out.baseAddress!
                k.adamw(base, g, base + size, base + 2 * size, size, &step)
            }
        }
    }

    @Test func `all 65536 halves convert and come back, and rounding is to nearest even`() {
        let all = (0...UInt16.max).map { $0 }
        for kernels in [levels.scalar] + levels.vectors {
            var floats = [Float](repeating: 0, count: all.count), back = all
            kernels.from_bf16(&floats, all, all.count)
            #expect(zip(floats, all).allSatisfy { $0.bitPattern == UInt32($1) << 16 })
            kernels.to_bf16(&back, floats, all.count)
            #expect(
                zip(back, all).allSatisfy {
                    $0 == $1 || (Float(bitPattern: UInt32($1) << 16).isNaN && $0 == $1 | 0x40)
                })
            kernels.from_f16(&floats, all, all.count)
            kernels.to_f16(&back, floats, all.count)
            for (half, (float, again)) in zip(all, zip(floats, back)) {
                let isNaN = half & 0x7c00 == 0x7c00 && half & 0x3ff != 0
                #expect(isNaN ? float.isNaN && again & 0x7c00 == 0x7c00 && again & 0x3ff != 0 : again == half)
            }
        }
        // Every float half-way between two halves, and its neighbours, on all levels.
        var edges: [Float] = [
            .infinity, -.infinity, .nan, 0, -0.0, 65519, 65520, 1e30, .leastNonzeroMagnitude,
        ]
        for bits in stride(from: UInt32(0), to: 0x4780_0000, by: 0x1000) {
            edges += [bits &- 1, bits, bits + 1].map { Float(bitPattern: $0) }
        }
        var expected = [UInt16](repeating: 0, count: edges.count), actual = expected
        for kernels in levels.vectors {
            levels.scalar.to_f16(&expected, edges, edges.count)
            kernels.to_f16(&actual, edges, edges.count)
            #expect(zip(zip(actual, expected), edges).allSatisfy { $0.0 == $0.1 || $1.isNaN })
            levels.scalar.to_bf16(&expected, edges, edges.count)
            kernels.to_bf16(&actual, edges, edges.count)
            #expect(actual == expected)
            // Rounding in place is the way there and back.
            var rounded = edges, back = edges
            kernels.round_bf16(&rounded, edges.count)
            kernels.from_bf16(&back, actual, edges.count)
            #expect(rounded.map(\.bitPattern) == back.map(\.bitPattern))
        }
    }

    @Test func `the exponential is within one unit in the last place everywhere`() {
        var inputs: [Float] = [
            .infinity, -.infinity, .nan, 0, -0.0, 88.72283, 88.72284, 89, 1e30, -1e30, -87.33655, -103.97208,
            -104,
        ]
        for bits in stride(from: UInt32(0), to: Float(120).bitPattern, by: 10007) {
            inputs += [Float(bitPattern: bits), -Float(bitPattern: bits)]
        }
        var expected = [Float](repeating: 0, count: inputs.count), actual = expected
        levels.scalar.exponential(&expected, inputs, inputs.count)
        for kernels in levels.vectors {
            kernels.exponential(&actual, inputs, inputs.count)
            for (input, (a, e)) in zip(inputs, zip(actual, expected)) {
                let close = abs(Int64(a.bitPattern) - Int64(e.bitPattern)) <= 1 || (a.isNaN && e.isNaN)
                #expect(close, "exp(\(input)) is \(e), not \(a)")
            }
        }
    }
}
