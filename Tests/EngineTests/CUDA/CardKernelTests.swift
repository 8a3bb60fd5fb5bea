// SPDX-License-Identifier: Apache-2.0

import CKernels
import Engine
import Foundation
import Testing

/// The kernels for a card against plain loops in double, or against the processor's own kernels.
///
/// Where the processor plays the card they say that the kernels' text computes what it should, block by block and lane by
/// lane; not that a card does so.
extension CardTests {
    @Suite(.serialized, .enabled(if: TestCard.isThere))
    struct Kernels {
        @Test(arguments: [true, false])
        func `norms and their gradients`(isCentred: Bool) throws {
            let bench = try CardBench()
            let (rows, columns) = (300, 70)
            let (x, dy, gamma, beta) = (
                random(rows * columns, 1, scale: 3), random(rows * columns, 2), random(columns, 3),
                random(columns, 4)
            )
            let start = random(rows * columns, 5)
            let y = CUDAHalves(address: try bench.memory(2 * rows * columns))
            let mean = CUDAFloats(address: try bench.memory(4 * rows))
            let deviation = CUDAFloats(address: try bench.memory(4 * rows))
            let (xs, gammas) = (try bench.floats(x), try bench.floats(gamma))
            try bench.program.launch(
                "norm_forward", blocks: (rows + 7) / 8, .halves(y), .floats(isCentred ? mean : nil),
                .floats(deviation), .floats(xs), .floats(gammas), .float(0.5),
                .floats(isCentred ? try bench.floats(beta) : nil), .int(rows), .int(columns), .float(1e-5))

            // By the definition, in double.
            var (forward, dx) = ([Double](), [Double]())
            var dGamma = [Double](repeating: 0, count: columns)
            var dBeta = dGamma
            for row in 0..<rows {
                let own = (0..<columns).map { Double(x[row * columns + $0]) }
                let centre = isCentred ? own.reduce(0, +) / Double(columns) : 0
                let r =
                    1
                    / (own.reduce(0) { $0 + ($1 - centre) * ($1 - centre) } / Double(columns) + 1e-5)
                    .squareRoot()
                let hats = own.map { ($0 - centre) * r }
                let d = (0..<columns).map { Double(dy[row * columns + $0]) * (Double(gamma[$0]) + 0.5) }
                let gradient = isCentred ? d.reduce(0, +) / Double(columns) : 0
                let projection = zip(d, hats).reduce(0) { $0 + $1.0 * $1.1 } / Double(columns)
                for column in 0..<columns {
                    forward.append(
                        hats[column] * (Double(gamma[column]) + 0.5) + (isCentred ? Double(beta[column]) : 0))
                    dx.append(
                        Double(start[row * columns + column])
                            + (d[column] - gradient - hats[column] * projection) * r)
                    dGamma[column] += Double(dy[row * columns + column]) * hats[column]
                    dBeta[column] += Double(dy[row * columns + column])
                }
            }
            expectClose(try bench.values(y, rows * columns), forward, 3e-3, "forward")

            let (dxs, dys) = (try bench.floats(start), try bench.floats(dy))
            let copy = CUDAHalves(address: try bench.memory(2 * rows * columns))
            try bench.program.launch(
                "norm_backward_input", blocks: (rows + 7) / 8, .floats(dxs), .halves(copy), .floats(dys),
                .floats(xs), .floats(gammas), .float(0.5), .floats(isCentred ? mean : nil),
                .floats(deviation), .int(rows), .int(columns))
            let inputs = try bench.values(dxs, rows * columns)
            expectClose(inputs, dx, 1e-6, "gradient of the input")
            #expect(try bench.values(copy, rows * columns) == rounded(inputs))

            let pieces = (rows + 127) / 128
            let sums = CUDAFloats(address: try bench.memory(8 * pieces * columns))
            try bench.program.launch(
                "norm_backward_weight", blocks: (columns + 31) / 32, rows: pieces, .floats(sums),
                .floats(dys), .floats(xs), .floats(isCentred ? mean : nil), .floats(deviation), .int(rows),
                .int(columns))
            for (offset, expected) in [(0, dGamma), (columns, dBeta)] {
                let target = try bench.floats([Float](repeating: 1, count: columns))
                try bench.program.launch(
                    "add_pieces", blocks: 1, .floats(target), .floats(sums + offset), .int(pieces),
                    .int(2 * columns), .int(columns))
                expectClose(
                    try bench.values(target, columns), expected.map { $0 + 1 }, 1e-5, "gradient of a weight")
            }
        }

        @Test func `sums of columns`() throws {
            let bench = try CardBench()
            let (rows, columns, stride) = (259, 45, 50)
            let x = rounded(random(rows * stride, 6))
            let pieces = (rows + 127) / 128
            let (xs, sums) = (
                try bench.halves(x), CUDAFloats(address: try bench.memory(4 * pieces * columns))
            )
            try bench.program.launch(
                "column_sum", blocks: (columns + 31) / 32, rows: pieces, .floats(sums), .halves(xs),
                .int(stride), .int(rows), .int(columns))
            let target = try bench.floats([Float](repeating: 0, count: columns))
            try bench.program.launch(
                "add_pieces", blocks: 1, .floats(target), .floats(sums), .int(pieces), .int(columns),
                .int(columns))
            let expected = (0..<columns).map { column in
                (0..<rows).reduce(0.0) { $0 + Double(x[$1 * stride + column]) }
            }
            expectClose(try bench.values(target, columns), expected, 1e-5, "sums")
        }

        @Test(arguments: [0, 1, 2, 3], [24, 11])
        func `activations and their gradients`(kind: Int, inner: Int) throws {
            let bench = try CardBench()
            let rows = 37
            let isGated = kind >= 2
            let width = isGated ? 2 * inner : inner
            let (x, dy) = (rounded(random(rows * width, 7, scale: 4)), rounded(random(rows * inner, 8)))
            let (xs, dys) = (try bench.halves(x), try bench.halves(dy))
            let y = CUDAHalves(address: try bench.memory(2 * rows * inner))
            let dx = CUDAHalves(address: try bench.memory(2 * rows * width))
            let blocks = (rows * inner + 255) / 256
            try bench.program.launch(
                "activation_forward", blocks: blocks, .halves(y), .halves(xs), .int(rows), .int(inner),
                .int(kind))
            try bench.program.launch(
                "activation_backward", blocks: blocks, .halves(dx), .halves(dys), .halves(xs), .int(rows),
                .int(inner), .int(kind))
            // The function alone; its slope by a central difference.
            func activation(_ x: Double) -> Double {
                switch kind {
                case 1: 0.5 * x * (1 + erf(x / 2.0.squareRoot()))
                case 2: x / (1 + exp(-x))
                default: 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
                }
            }
            func slope(_ x: Double) -> Double { (activation(x + 1e-5) - activation(x - 1e-5)) / 2e-5 }
            var forward: [Double] = []
            var backward = [Double](repeating: 0, count: rows * width)
            for row in 0..<rows {
                for column in 0..<inner {
                    let place = row * width + column
                    let (a, d) = (Double(x[place]), Double(dy[row * inner + column]))
                    let other = isGated ? Double(x[place + inner]) : 1
                    forward.append(activation(a) * other)
                    backward[place] = d * other * slope(a)
                    if isGated { backward[place + inner] = d * activation(a) }
                }
            }
            expectClose(try bench.values(y, rows * inner), forward, 3e-3, "forward")
            expectClose(try bench.values(dx, rows * width), backward, 3e-3, "backward")
        }

        @Test func `AdamW takes the processor's steps bit for bit`() throws {
            let bench = try CardBench()
            let count = 1003
            let (w, g) = (random(count, 9), random(count, 10, scale: 0.01))
            var (weights, first, second) = (
                w, random(count, 11, scale: 0.01), random(count, 12).map { $0 * $0 }
            )
            let places = (try bench.floats(weights), try bench.floats(first), try bench.floats(second))
            let gradients = try bench.floats(g)
            let copy = CUDAHalves(address: try bench.memory(2 * count))
            let numbers = ck_adamw_step(
                decay: 0.9999, one_minus_beta1: 0.1, beta2: 0.999, one_minus_beta2: 0.001,
                bias_correction2_sqrt: 0.05, epsilon: 1e-8, negative_step_size: -3e-3)
            try bench.program.launch(
                "adamw", blocks: 3, .floats(places.0), .halves(copy), .floats(gradients), .floats(places.1),
                .floats(places.2), .long(count), .float(0.5), .float(numbers.decay),
                .float(numbers.one_minus_beta1), .float(numbers.beta2), .float(numbers.one_minus_beta2),
                .float(numbers.bias_correction2_sqrt), .float(numbers.epsilon),
                .float(numbers.negative_step_size))
            let kernels = try #require(ck_kernels_at(ck_best_level()))
            let half = g.map { $0 * 0.5 }
            withUnsafePointer(to: numbers) {
                kernels.pointee.adamw(&weights, half, &first, &second, count, $0)
            }
            #expect(try bench.values(places.0, count) == weights)
            #expect(try bench.values(places.1, count) == first)
            #expect(try bench.values(places.2, count) == second)
            #expect(try bench.values(copy, count) == rounded(weights))
        }

        @Test func `the sum of squares is in double`() throws {
            let bench = try CardBench()
            let x = random(200_001, 13)
            let xs = try bench.floats(x)
            let sums = try bench.memory(8 * 8)
            try bench.program.launch(
                "sum_of_squares", blocks: 4, .doubles(sums + 8), .floats(xs), .long(x.count))
            try bench.program.launch(
                "add_squares", blocks: 1, .doubles(sums), .doubles(sums + 8), .int(4))
            let sum = try bench.card.values(sums, count: 1, like: 0.0)[0]
            let expected = x.reduce(0.0) { $0 + Double($1) * Double($1) }
            #expect(abs(sum - expected) < 1e-12 * expected)
        }
    }
}
