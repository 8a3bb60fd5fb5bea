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
        /// A card with what the tests hand to it.
        private final class Bench {
            let card: CUDACard
            let program: CUDAProgram
            private var blocks: [CUDAMemory] = []

            init(headSize: Int = 16) throws {
                card = try TestCard.open()
                program = try card.program(headSize: headSize)
            }

            func memory(_ bytes: Int) throws -> UInt64 {
                let block = try CUDAMemory(card, bytes: bytes)
                blocks.append(block)
                return block.address
            }

            func floats(_ values: [Float]) throws -> CUDAFloats {
                let address = try memory(values.count * 4)
                try values.withUnsafeBufferPointer { try card.upload($0, to: address) }
                return CUDAFloats(address: address)
            }

            func halves(_ values: [Float]) throws -> CUDAHalves {
                let address = try memory(values.count * 2)
                let rounded = values.map(Bench.bits)
                try rounded.withUnsafeBufferPointer { try card.upload($0, to: address) }
                return CUDAHalves(address: address)
            }

            func integers(_ values: [Int32]) throws -> CUDAIntegers {
                let address = try memory(values.count * 4)
                try values.withUnsafeBufferPointer { try card.upload($0, to: address) }
                return CUDAIntegers(address: address)
            }

            func values(_ place: CUDAFloats, _ count: Int) throws -> [Float] {
                try card.values(place.address, count: count, like: Float(0))
            }

            func values(_ place: CUDAHalves, _ count: Int) throws -> [Float] {
                try card.values(place.address, count: count, like: UInt16(0)).map {
                    Float(bitPattern: UInt32($0) << 16)
                }
            }

            static func bits(_ x: Float) -> UInt16 {
                let bits = x.bitPattern
                return UInt16((bits &+ 0x7fff &+ (bits >> 16 & 1)) >> 16)
            }
        }

        private func random(_ count: Int, _ seed: UInt64, scale: Float = 1) -> [Float] {
            var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
            return (0..<count).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return (Float(state >> 40) / Float(1 << 23) - 1) * scale
            }
        }

        /// What bfloat16 makes of values.
        private func rounded(_ values: [Float]) -> [Float] {
            values.map { Float(bitPattern: UInt32(Bench.bits($0)) << 16) }
        }

        private func expectClose(
            _ actual: [Float], _ expected: [Double], _ tolerance: Double, _ what: String,
            location: SourceLocation = #_sourceLocation
        ) {
            var (difference, size) = (0.0, 0.0)
            for (a, e) in zip(actual, expected) {
                difference += (Double(a) - e) * (Double(a) - e)
                size += e * e
            }
            #expect(
                actual.count == expected.count && difference.squareRoot() <= tolerance * size.squareRoot(),
                "\(what): \(difference.squareRoot()) against \(size.squareRoot())", sourceLocation: location)
        }

        @Test(arguments: [true, false])
        func `norms and their gradients`(isCentred: Bool) throws {
            let bench = try Bench()
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
            let bench = try Bench()
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
            let bench = try Bench()
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
            let bench = try Bench()
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
            let bench = try Bench()
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

        @Test func `cross-entropy, its moments and its gradient`() throws {
            let bench = try Bench()
            let (rows, columns, stride) = (5, 700, 704)
            var logits = random(rows * stride, 14, scale: 6)
            // Of two largest values the first one counts.
            logits[stride + 3] = 9
            logits[stride + 600] = 9
            let targets: [Int32] = [699, 600, 3, 0, 255]
            logits[2 * stride + 3] = 9
            let weights: [Float] = [1, -0.5, 0, 0.25, 2]
            let (xs, ts) = (try bench.floats(logits), try bench.integers(targets))
            let (loss, maximum, sum) = (
                CUDAFloats(address: try bench.memory(4 * rows)),
                CUDAFloats(address: try bench.memory(4 * rows)),
                CUDAFloats(address: try bench.memory(4 * rows))
            )
            let hits = CUDAIntegers(address: try bench.memory(4 * rows))
            let moments = CUDAFloats(address: try bench.memory(8 * rows))
            let gradient = CUDAHalves(address: try bench.memory(2 * rows * stride))
            try bench.program.launch(
                "cross_entropy", blocks: rows, .floats(loss), .integers(hits), .floats(maximum), .floats(sum),
                .floats(moments), .floats(xs), .int(stride), .int(columns), .integers(ts))
            try bench.program.launch(
                "cross_entropy_backward", blocks: rows, .halves(gradient), .floats(xs), .int(stride),
                .int(columns), .integers(ts), .floats(maximum), .floats(sum),
                .floats(try bench.floats(weights)))
            var (losses, pairs, slopes) = ([Double](), [Double](), [Double]())
            for row in 0..<rows {
                let own = (0..<columns).map { Double(logits[row * stride + $0]) }
                let total = log(own.reduce(0) { $0 + exp($1) })
                let p = own.map { exp($0 - total) }
                let mean = zip(p, own).reduce(0) { $0 + $1.0 * ($1.1 - total) }
                losses.append(total - own[Int(targets[row])])
                pairs += [mean, zip(p, own).reduce(0) { $0 + $1.0 * pow($1.1 - total - mean, 2) }]
                for column in 0..<stride {
                    let own = column < columns ? p[column] - (column == Int(targets[row]) ? 1 : 0) : 0
                    slopes.append(own * Double(weights[row]))
                }
            }
            expectClose(try bench.values(loss, rows), losses, 1e-6, "loss")
            expectClose(try bench.values(moments, 2 * rows), pairs, 1e-5, "moments")
            expectClose(try bench.values(gradient, rows * stride), slopes, 3e-3, "gradient")
            #expect(try bench.card.values(hits.address, count: rows, like: Int32(0)) == [0, 0, 1, 0, 0])
        }

        @Test(arguments: [64, 12, 128])
        func `attention and its gradients`(headSize: Int) throws {
            let bench = try Bench(headSize: headSize)
            let (heads, shared) = (4, 2)
            let lengths = [1, 63, 64, 65, 150]
            let tokens = lengths.reduce(0, +)
            let width = (heads + 2 * shared) * headSize
            let qkv = rounded(random(tokens * width, 15))
            let dOut = rounded(random(tokens * heads * headSize, 16))
            let scale = 1 / Double(headSize).squareRoot()
            var tiles: [Int32] = []
            var start = 0
            for length in lengths {
                for first in stride(from: 0, to: length, by: 64) {
                    tiles += [Int32(start), Int32(length), Int32(first)]
                }
                start += length
            }
            // By the definition, in double.
            var out = [Double](repeating: 0, count: tokens * heads * headSize)
            var gradient = [Double](repeating: 0, count: tokens * width)
            start = 0
            for length in lengths {
                for head in 0..<heads {
                    let (q, k) = (head * headSize, (heads + head / 2) * headSize)
                    let v = k + shared * headSize
                    for i in 0..<length {
                        func at(_ row: Int, _ column: Int) -> Double {
                            Double(qkv[(start + row) * width + column])
                        }
                        let scores = (0...i).map { j in
                            scale * (0..<headSize).reduce(0.0) { $0 + at(i, q + $1) * at(j, k + $1) }
                        }
                        let largest = scores.max() ?? 0
                        let total = scores.reduce(0) { $0 + exp($1 - largest) }
                        let p = scores.map { exp($0 - largest) / total }
                        let place = (start + i) * heads * headSize + head * headSize
                        let d = (0..<headSize).map { Double(dOut[place + $0]) }
                        var slopes: [Double] = []
                        for j in 0...i {
                            slopes.append((0..<headSize).reduce(0.0) { $0 + d[$1] * at(j, v + $1) })
                            for c in 0..<headSize {
                                out[place + c] += p[j] * at(j, v + c)
                                gradient[(start + j) * width + v + c] += p[j] * d[c]
                            }
                        }
                        let delta = zip(p, slopes).reduce(0) { $0 + $1.0 * $1.1 }
                        for j in 0...i {
                            let ds = p[j] * (slopes[j] - delta) * scale
                            for c in 0..<headSize {
                                gradient[(start + i) * width + q + c] += ds * at(j, k + c)
                                gradient[(start + j) * width + k + c] += ds * at(i, q + c)
                            }
                        }
                    }
                }
                start += length
            }
            let padded = (headSize + 15) / 16 * 16 + 8
            let tileBytes = 64 * padded * 2
            let (qs, ds, ts) = (try bench.halves(qkv), try bench.halves(dOut), try bench.integers(tiles))
            let o = CUDAHalves(address: try bench.memory(2 * out.count))
            let logs = CUDAFloats(address: try bench.memory(4 * tokens * heads))
            let deltas = CUDAFloats(address: try bench.memory(4 * tokens * heads))
            let result = CUDAHalves(address: try bench.memory(2 * gradient.count))
            let columns: [CUDAProgram.Argument] = [
                .int(heads / shared), .int(heads * headSize), .int((heads + shared) * headSize),
            ]
            let binary = Float(scale * 1.4426950408889634)
            try bench.program.launch(
                "attention_forward", blocks: tiles.count / 3, rows: heads, threads: 128,
                shared: 3 * tileBytes,
                .halves(o), .floats(logs), .halves(qs), .int(width), .integers(ts), .int(tokens), columns[0],
                columns[1], columns[2], .float(binary))
            expectClose(try bench.values(o, out.count), out, 6e-3, "forward")
            try bench.program.launch(
                "attention_deltas", blocks: (tokens * heads + 7) / 8, .floats(deltas), .halves(o),
                .halves(ds), .int(tokens), .int(heads))
            for (name, count, bytes) in [
                ("attention_backward_queries", heads, 4 * tileBytes),
                ("attention_backward_keys", shared, 4 * tileBytes + 512),
            ] {
                try bench.program.launch(
                    name, blocks: tiles.count / 3, rows: count, threads: 128, shared: bytes, .halves(result),
                    .halves(qs), .int(width), .halves(ds), .floats(logs), .floats(deltas), .integers(ts),
                    .int(tokens), columns[0], columns[1], columns[2], .float(binary), .float(Float(scale)))
            }
            let actual = try bench.values(result, gradient.count)
            for (name, range) in [
                ("queries", 0..<heads * headSize), ("keys", heads * headSize..<(heads + shared) * headSize),
                ("values", (heads + shared) * headSize..<width),
            ] {
                func part<Value>(_ all: [Value]) -> [Value] {
                    (0..<tokens).flatMap { row in range.map { all[row * width + $0] } }
                }
                expectClose(part(actual), part(gradient), 1e-2, "gradient of \(name)")
            }
        }

        @Test(arguments: [false, true], [false, true])
        func `products, whichever operand is stored transposed`(left: Bool, right: Bool) throws {
            let bench = try Bench()
            let (m, n, k) = (19, 24, 40)
            let (a, b) = (rounded(random(m * k, 17)), rounded(random(k * n, 18)))
            let (start, bias) = (random(m * n, 19), random(n, 20))
            let c = CUDAFloats(address: try bench.memory(4 * m * n))
            try bench.card.products().multiply(
                m, n, k, .init(base: try bench.halves(a), stride: left ? m : k, transposed: left),
                .init(base: try bench.halves(b), stride: right ? k : n, transposed: right),
                into: .floats(c), stride: n, adding: try bench.floats(start),
                bias: try bench.floats(bias).address)
            var expected: [Double] = []
            for i in 0..<m {
                for j in 0..<n {
                    expected.append(
                        Double(start[i * n + j]) + Double(bias[j])
                            + (0..<k).reduce(0.0) {
                                $0 + Double(left ? a[$1 * m + i] : a[i * k + $1])
                                    * Double(right ? b[j * k + $1] : b[$1 * n + j])
                            })
                }
            }
            expectClose(try bench.values(c, m * n), expected, 1e-6, "product")
        }
    }
}
