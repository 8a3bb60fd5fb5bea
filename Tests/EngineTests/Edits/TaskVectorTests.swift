// SPDX-License-Identifier: Apache-2.0

import CKernels
import Checkpoints
import Engine
import Foundation
import Protocol
import Testing

/// Task vectors against PyTorch, and what they refuse.
struct TaskVectorTests {
    private func fixture(_ name: String) throws -> [UInt8] {
        let folder = try #require(Bundle.module.resourceURL).appending(path: "Fixtures/taskvector")
        return Array(try Data(contentsOf: folder.appending(path: name + ".safetensors")))
    }

    private func apply(
        _ versions: TestVersions, _ target: CheckpointReader, _ finetuned: CheckpointReader,
        _ base: CheckpointReader?,
        scale: Double, level: Int32? = nil
    ) throws -> CheckpointRewriter.Result {
        let edit = try TaskVector(
            target: target.manifest, finetuned: finetuned, base: base, scale: scale, level: level)
        return try CheckpointRewriter.rewrite(
            base: target, parent: target.manifestID, transform: { try edit.edit($0, $1) })
    }

    /// The elements' bits, and whether each is NaN.
    private func elements(_ bytes: [UInt8], _ dtype: DType) -> [(bits: UInt64, isNaN: Bool)] {
        let width = dtype.bits / 8
        return stride(from: 0, to: bytes.count, by: width).map { start in
            let bits = bytes[start..<start + width].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            let infinity: UInt64 =
                switch dtype {
                case .f16: 0x7C00
                case .bf16: 0x7F80
                case .f32: 0x7F80_0000
                default: 0x7FF0_0000_0000_0000
                }
            return (bits, bits & ~(1 << UInt64(dtype.bits - 1)) > infinity)
        }
    }

    @Test(
        arguments: [("base", 0.7), ("own", -1.3)],
        [Int32(CK_LEVEL_SCALAR), Int32(CK_LEVEL_AVX2), Int32(CK_LEVEL_AVX512)])
    func `every pair of types gives PyTorch's bits at every level`(
        golden: (name: String, scale: Double), level: Int32
    ) throws {
        guard level <= ck_best_level() else {
            print("skipped: this processor lacks kernel level \(level)")
            return
        }
        let versions = try TestVersions()
        let target = try versions.version(safetensors: fixture("target"))
        let finetuned = try versions.version(safetensors: fixture("finetuned"))
        let base = golden.name == "base" ? try versions.version(safetensors: fixture("base")) : nil
        let expected = try versions.version(safetensors: fixture("result_\(golden.name)"))
        let made = try apply(versions, target, finetuned, base, scale: golden.scale, level: level)
        let result = try versions.version(made)
        #expect(made.changedTensors.count == target.manifest.tensors.count - 1)
        for tensor in expected.manifest.tensors {
            let actual = elements(try result.readTensor(tensor.name), tensor.dtype)
            let wanted = elements(try expected.readTensor(tensor.name), tensor.dtype)
            guard tensor.dtype.isFloating else {
                #expect(actual.map(\.bits) == wanted.map(\.bits), "\(tensor.name) is copied")
                continue
            }
            // Which NaN it is depends on the processor in PyTorch; ours are fixed, see the next test.
            let wrong = zip(actual, wanted).enumerated().filter { _, pair in
                pair.0.isNaN != pair.1.isNaN || !pair.0.isNaN && pair.0.bits != pair.1.bits
            }
            #expect(wrong.isEmpty, "\(tensor.name) differs first at \(wrong.first?.offset ?? -1)")
        }
    }

    @Test func `a NaN of the target keeps its bits and a new one is the quiet NaN`() throws {
        let versions = try TestVersions()
        let odd = Float(bitPattern: 0xFFC1_2345)
        let target = try versions.version([.f32("w", [odd, 1, .infinity])])
        let finetuned = try versions.version([.f32("w", [2, .nan, 3])])
        for level in 0...ck_best_level() {
            let made = try apply(versions, target, finetuned, nil, scale: 1, level: level)
            let bits = elements(try versions.version(made).readTensor("w"), .f32).map(\.bits)
            // ∞ − (3 − ∞) = ∞.
            #expect(bits == [0xFFC1_2345, 0x7FC0_0000, 0x7F80_0000])
        }
    }

    @Test func `large tensors of different types are matched piece by piece`() throws {
        let versions = try TestVersions()
        // More than one region in F32, fewer in BF16, and a tail.
        let count = 5 << 20 | 3
        let target = (0..<count).map { UInt16(truncatingIfNeeded: 0x3F80 &+ $0 % 97) }
        let finetuned = (0..<count).map { Float($0 % 89) }
        let bytes = target.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
        let a = try versions.version([.init(name: "w", dtype: "BF16", shape: [count], bytes: bytes)])
        let b = try versions.version([.f32("w", finetuned)])
        let made = try apply(versions, a, b, nil, scale: 0.5)
        let result = try versions.version(made).readTensor("w")
        for index in stride(from: 0, to: count, by: 40_009) {
            let t = Float(bitPattern: UInt32(target[index]) << 16)
            let r = (t - 0.5 * (finetuned[index] - t)).bitPattern
            let rounded = UInt16(truncatingIfNeeded: (r + 0x7FFF + (r >> 16 & 1)) >> 16)
            #expect(UInt16(result[2 * index]) | UInt16(result[2 * index + 1]) << 8 == rounded)
        }
    }

    @Test func `a version minus nothing is unchanged`() throws {
        let versions = try TestVersions()
        let target = try versions.version([.f32("w", [1, 2, -0.0]), .f32("v", [.infinity])])
        #expect(try apply(versions, target, target, nil, scale: 1).changedTensors == ["v"])
        let plain = try versions.version([.f32("w", [1, 2, -0.0])])
        #expect(try apply(versions, plain, plain, nil, scale: 1).changedTensors.isEmpty)
    }

    @Test func `versions that do not fit are refused by name`() throws {
        let versions = try TestVersions()
        let target = try versions.version([.f32("w", [1, 2]), .f32("v", [3])])
        func refusal(_ other: [TestVersions.Tensor], of original: CheckpointReader? = nil) throws
            -> EngineError?
        {
            let reader = try versions.version(other)
            return #expect(throws: EngineError.self) {
                _ = try TaskVector(
                    target: (original ?? target).manifest, finetuned: reader, base: nil, scale: 1)
            }
        }
        let missing = try refusal([.f32("w", [1, 2])])
        #expect(missing?.code == .tensorMismatch && missing?.message.contains("lacks the tensor v") == true)
        let shape = try refusal([.f32("w", [1, 2], shape: [2, 1]), .f32("v", [3])])
        #expect(shape?.message.contains("shape [2, 1]") == true)
        let surplus = try refusal([.f32("w", [1, 2]), .f32("v", [3]), .f32("u", [3])])
        #expect(surplus?.message.contains("tensor u") == true)
        let narrow = try versions.version([.init(name: "w", dtype: "F8_E4M3", shape: [2], bytes: [1, 2])])
        let type = try refusal([.init(name: "w", dtype: "F8_E4M3", shape: [2], bytes: [1, 2])], of: narrow)
        #expect(type?.code == .unsupportedModel && type?.message.contains("F8_E4M3") == true)
    }

    private func trimFixture(_ name: String) throws -> [UInt8] {
        let folder = try #require(Bundle.module.resourceURL).appending(path: "Fixtures/trim")
        return Array(try Data(contentsOf: folder.appending(path: name + ".safetensors")))
    }

    @Test(arguments: [Int32(CK_LEVEL_SCALAR), Int32(CK_LEVEL_AVX2)])
    func `the largest elements of a direction are subtracted, equals by index, as NumPy says`(level: Int32)
        throws
    {
        guard level <= ck_best_level() else {
            print("skipped: this processor lacks kernel level \(level)")
            return
        }
        let versions = try TestVersions()
        let target = try versions.version(safetensors: trimFixture("target"))
        let expected = try versions.version(safetensors: trimFixture("result"))
        let scales = try #require(LayerScales("0=1,1=0.5,2-=1"))
        var edit = try TaskVector(
            target: target.manifest, finetuned: versions.version(safetensors: trimFixture("finetuned")),
            base: versions.version(safetensors: trimFixture("base")), scale: 0.7, layers: scales, level: level
        )
        try edit.trim(to: 0.3, of: target, threads: 2)
        let trimmed = edit
        let made = try CheckpointRewriter.rewrite(
            base: target, parent: nil, transform: { try trimmed.edit($0, $1) })
        let result = try versions.version(made)
        for tensor in target.manifest.tensors {
            #expect(
                try result.readTensor(tensor.name) == expected.readTensor(tensor.name), "\(tensor.name)")
        }
    }

    @Test func `trimming large tensors keeps exactly as many elements as it should`() throws {
        let versions = try TestVersions()
        let count = 5 << 20 | 3
        // Magnitudes of 97 steps: the cut falls among equals, in a later piece.
        let target = try versions.version([.f32("w", [Float](repeating: 1, count: count))])
        let finetuned = try versions.version([
            .f32("w", (0..<count).map { 1 + Float($0 % 97) * ($0 % 2 == 0 ? 1 : -1) })
        ])
        var edit = try TaskVector(
            target: target.manifest, finetuned: finetuned, base: nil, scale: 1)
        try edit.trim(to: 0.505, of: target, threads: 2)
        let trimmed = edit
        let made = try CheckpointRewriter.rewrite(
            base: target, parent: nil, transform: { try trimmed.edit($0, $1) })
        let bytes = try versions.version(made).readTensor("w")
        let changed = bytes.withUnsafeBytes { raw in
            (0..<count).filter { raw.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) != 1 }
        }
        let kept = Int(0.505 * Double(count))
        #expect(changed.count == kept)
        let least = changed.map { $0 % 97 }.min() ?? -1
        let missing = (0..<count).filter { $0 % 97 >= least }.count - kept
        // Of the least, the last ones are missing.
        #expect(
            missing > 0
                && changed.filter { $0 % 97 == least }.count == (0..<count).filter { $0 % 97 == least }.count
                    - missing
        )
        let last = try #require(changed.last { $0 % 97 == least })
        #expect((0...last).filter { $0 % 97 == least }.count == changed.filter { $0 % 97 == least }.count)
    }

    @Test func `layers are read from names, and their factors from text`() throws {
        let scales = try #require(LayerScales("0-3=0.5,4-=2,7=0"))
        let factors = [
            "model.layers.3.mlp.up_proj.weight": 0.5, "transformer.h.4.ln_1.bias": 2.0, "h.7.attn.bias": 0.0,
            "model.layers.0.block_sparse_moe.experts.7.w1.weight": 0.5, "model.embed_tokens.weight": 1.0,
        ]
        for (name, factor) in factors { #expect(scales.factor(ofTensor: name) == factor, "\(name)") }
        #expect(scales.description == "0-3=0.5,4-=2.0,7=0.0")
        for bad in ["", "1", "1=", "=1", "3-1=1", "a=1", "1=nan", "1-2-3=1", "1=1,", "-1=1"] {
            #expect(LayerScales(bad) == nil, "\(bad)")
        }
    }
}
