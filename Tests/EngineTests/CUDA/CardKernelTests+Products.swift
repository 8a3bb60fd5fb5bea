// SPDX-License-Identifier: Apache-2.0

import CKernels
import Engine
import Foundation
import Testing

/// The card's products, attention and losses.
extension CardTests.Kernels {
    @Test func `cross-entropy, its moments and its gradient`() throws {
        let bench = try CardBench()
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
        let bench = try CardBench(headSize: headSize)
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
        let bench = try CardBench()
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
