// SPDX-License-Identifier: Apache-2.0

import Engine
import Testing

@Suite struct RandomSourceTests {
    @Test func `blocks are those of Philox4x32-10`() {
        // Known answers of the Random123 library.
        #expect(
            RandomSource.block(seed: 0, stream: 0, position: 0)
                == (0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8))
        #expect(
            RandomSource.block(seed: .max, stream: .max, position: .max)
                == (0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd))
        #expect(
            RandomSource.block(
                seed: 0x299f_31d0_a409_3822, stream: 0x0370_7344_1319_8a2e, position: 0x85a3_08d3_243f_6a88)
                == (0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1))
    }

    @Test func `normal numbers have the moments of a normal distribution`() {
        var random = RandomSource(seed: 1)
        let values = (0..<100_000).map { _ in random.normal() }
        let mean = values.reduce(0, +) / 1e5
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 1e5
        let fourth = values.reduce(0) { $0 + $1 * $1 * $1 * $1 } / 1e5
        #expect(abs(mean) < 0.015 && abs(variance - 1) < 0.02 && abs(fourth - 3) < 0.15)
    }

    @Test func `a permutation holds each number once and depends on seed and stream`() {
        var a = RandomSource(seed: 1, stream: 2), b = RandomSource(seed: 1, stream: 2),
            c = RandomSource(seed: 1, stream: 3)
        let first = a.permutation(100)
        #expect(first.sorted() == Array(0..<100) && first != Array(0..<100))
        #expect(first == b.permutation(100))
        #expect(first != c.permutation(100))
    }

    @Test func `bounded numbers stay below their bound and reach all of it`() {
        var random = RandomSource(seed: 9)
        let values = (0..<1000).map { _ in random.below(7) }
        #expect(Set(values) == Set(0..<7))
    }

    @Test func `a new model has the deviations of its architecture and is a function of the seed`() throws {
        let golden = try GoldenModel("gpt2")
        func fill(_ seed: UInt64, threads: Int) throws -> Transformer {
            let model = try Transformer(golden.configuration, context: ComputeContext(threads: threads))
            ParameterInitializer.fill(model.parameters, model.table, seed: seed, context: model.context)
            return model
        }
        let model = try fill(3, threads: 1)
        func values(_ model: Transformer, _ name: String) throws -> [Float] {
            model.parameters.values(try #require(model.table[name]).range)
        }
        func deviation(_ name: String) throws -> Double {
            let all = try values(model, name)
            return (all.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(all.count)).squareRoot()
        }
        #expect(try abs(deviation("transformer.wte.weight") - 0.2) < 0.01)
        #expect(try abs(deviation("transformer.h.0.attn.c_proj.weight") - 0.1) < 0.01)
        #expect(try values(model, "transformer.h.1.ln_2.weight").allSatisfy { $0 == 1 })
        #expect(try values(model, "transformer.h.1.ln_2.bias").allSatisfy { $0 == 0 })
        #expect(
            try model.parameters.values(0..<model.table.count)
                == fill(3, threads: 3).parameters.values(0..<model.table.count))
        #expect(
            try model.parameters.values(0..<model.table.count)
                != fill(4, threads: 1).parameters.values(0..<model.table.count))
    }
}
