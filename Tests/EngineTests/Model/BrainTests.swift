// SPDX-License-Identifier: Apache-2.0

import CKernels
import Engine
import Foundation
import Testing

/// Products on operands rounded to bfloat16, against PyTorch made the same way (`Tests/Reference/golden_bf16.py`).
@Suite struct BrainTests {
    private static let names = ["gpt2", "llama-tied"]

    /// ‖a − b‖ / ‖b‖.
    private func distance(_ a: [Float], _ b: [Float]) -> Double {
        let difference = zip(a, b).reduce(0.0) { $0 + pow(Double($1.0) - Double($1.1), 2) }
        return (difference / b.reduce(0.0) { $0 + pow(Double($1), 2) }).squareRoot()
    }

    private func check(_ name: String, _ brain: BrainProducts) throws {
        let golden = try GoldenModel(name)
        let expected = try SafetensorsFixture(
            GoldenModel.fixtures().appending(path: "bf16/\(name).safetensors"))
        let model = try golden.load(brain: brain)
        let batch = try golden.batch("forget", 0)

        let logits = try model.logits(Array(batch.tokens[0..<batch.lengths[0]]), lastOnly: false)
        let wanted = try expected.values("logits")
        // A value that lies between two bfloat16 may go the other way: what counts is that the result is much nearer to
        // the rounded reference than that is to the unrounded one.
        let rounding = try distance(golden.logits, wanted)
        #expect(distance(logits, wanted) < rounding / 8, "\(distance(logits, wanted)) of \(rounding)")
        #expect(rounding > 1e-4)

        let gradients = try model.makeBuffer()
        let loss = try model.accumulateGradients(batch, scale: 1, into: gradients).mean
        #expect(try abs(loss - Double(expected.values("loss")[0])) < 1e-4 * loss)
        let width = golden.configuration.hiddenSize
        for entry in model.table.entries {
            var actual = gradients.values(entry.range)
            var wanted = try expected.values("gradients/\(entry.name)")
            var plain = try golden.values("gradients", entry.name)
            if entry.name.hasSuffix("c_attn.bias") {
                // The exact gradient of the keys' bias is zero: only rounding is there.
                for index in width..<2 * width {
                    actual[index] = 0
                    wanted[index] = 0
                    plain[index] = 0
                }
            }
            let rounding = distance(plain, wanted)
            // One value that went the other way early in the backward pass moves what comes after it by up to 0.3 of all
            // rounding.
            #expect(
                distance(actual, wanted) < max(0.4 * rounding, 1e-5),
                "\(entry.name): \(distance(actual, wanted)) of \(rounding)")
        }
    }

    @Test(arguments: names)
    func `rounding points and gradients agree with the reference`(name: String) throws {
        try check(name, .rounded)
    }

    @Test(.enabled(if: ck_pair_kernels_here() != nil, "this processor lacks AVX512_BF16"), arguments: names)
    func `pairs of bfloat16 agree with the reference`(name: String) throws {
        try check(name, .paired)
    }

    @Test(arguments: names)
    func `oneDNN agrees with the reference`(name: String) throws {
        let library: OneDNN
        do { library = try OneDNN() } catch {
            print("skipped: products by oneDNN: \(error)")
            return
        }
        try check(name, .native(library))
    }

    @Test func `the environment says what ran, and any number of threads gives the same bits`() throws {
        let golden = try GoldenModel("gpt2")
        var kinds = [(BrainProducts.rounded, "bf16, f32 kernels")]
        if ck_pair_kernels_here() != nil { kinds.append((.paired, "bf16, avx512_bf16 kernels")) }
        for (brain, name) in kinds {
            var results: [[UInt32]] = []
            for threads in [1, 2, 3] {
                let model = try golden.load(threads: threads, brain: brain)
                #expect(model.context.environment.arithmetic == name)
                let gradients = try model.makeBuffer()
                _ = try model.accumulateGradients(golden.batch("forget", 0), scale: 1, into: gradients)
                results.append(gradients.values(0..<gradients.count).map(\.bitPattern))
            }
            #expect(results[1] == results[0] && results[2] == results[0])
        }
        #expect(try golden.load().context.environment.arithmetic == nil)
    }

    @Test func `without the processor or the library there is a reason`() throws {
        if ck_has_bfloat16() == 0 {
            let error = #expect(throws: OneDNN.Missing.self) { try OneDNN() }
            #expect(error?.description.contains("processor") == true)
        } else if ck_has_fast_bfloat16() == 0 {
            guard case .rounded = try BrainProducts.fastest() else {
                Issue.record("slow bfloat16 instructions were chosen")
                return
            }
        } else if ck_has_fast_pairs() != 0 {
            guard case .paired = try BrainProducts.fastest() else {
                Issue.record("the processor's own pairs were not chosen")
                return
            }
        }
        do { _ = try OneDNN(anyProcessor: ()) } catch { #expect(!error.description.isEmpty) }
    }
}
