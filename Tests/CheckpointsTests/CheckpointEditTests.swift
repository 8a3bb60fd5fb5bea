// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Foundation
import Protocol
import Testing

struct CheckpointEditTests {
    /// A version with packed, chunked, empty and integer tensors in two shards.
    static func version(_ store: ObjectStore) throws -> CheckpointReader {
        var random = TestRandom(21)
        let first = TestTensor.file([
            TestTensor("big", .f32, [4_500_000], &random), TestTensor("bias", .f32, [64], &random),
            TestTensor("norm", .f32, [64], &random), TestTensor("empty", .f32, [0], []),
        ])
        let second = TestTensor.file([
            TestTensor("half", .bf16, [200_000], &random), TestTensor("count", .i64, [5], &random),
        ])
        let result = try store.take([("1.safetensors", first), ("2.safetensors", second), config])
        return try CheckpointReader(store: store, manifestID: result.manifestID)
    }

    static func set(_ value: Float, _ bytes: UnsafeMutableRawBufferPointer, _ index: Int) {
        bytes.storeBytes(of: value.bitPattern.littleEndian, toByteOffset: index * 4, as: UInt32.self)
    }

    @Test func `an edit that changes nothing is seen as such`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let base = try Self.version(store)
        for claims in [false, true] {
            let result = try CheckpointRewriter.rewrite(base: base, parent: base.manifestID) { _, _ in claims
            }
            #expect(result.changedTensors.isEmpty && result.changedBytes == 0)
            #expect(result.manifest.files == base.manifest.files)
            #expect(result.manifest.versionDigest == base.manifest.versionDigest)
        }
    }

    @Test(arguments: [1, 3])
    func `an edit of one tensor leaves everything else alone`(threads: Int) throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let base = try Self.version(store)
        var provenance = JSONObject()
        provenance["kind"] = "test"
        let result = try CheckpointRewriter.rewrite(
            base: base, threads: threads, provenance: provenance, parent: base.manifestID
        ) { segment, bytes in
            guard segment.tensor.name == "norm" else { return false }
            Self.set(1, bytes, 3)
            return true
        }
        #expect(result.changedTensors == ["norm"])
        #expect(result.changedBytes == 256)
        // One pack and the manifest.
        #expect(result.newObjects == 2)
        let after = try CheckpointReader(store: store, manifestID: result.manifestID)
        try after.verifyAll(threads: threads)
        #expect(after.manifest.parent == base.manifestID)
        #expect(after.manifest.provenance["kind"] == "test")
        #expect(after.manifest.tensors == base.manifest.tensors)
        for tensor in base.manifest.tensors where tensor.name != "norm" {
            #expect(try after.readTensor(tensor.name) == base.readTensor(tensor.name), "\(tensor.name)")
        }
        var expected = try base.readTensor("norm")
        expected.withUnsafeMutableBytes { Self.set(1, $0, 3) }
        #expect(try after.readTensor("norm") == expected)
        #expect(try after.readFile("config.json") == base.readFile("config.json"))
    }

    @Test func `segments cover each tensor exactly once, in whole elements`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let base = try Self.version(store)
        let collected = Collected()
        _ = try CheckpointRewriter.rewrite(base: base, threads: 3, parent: nil) { segment, bytes in
            #expect(bytes.count == segment.bytes.count)
            collected.add(segment.tensor.name, segment.bytes, Array(bytes))
            return false
        }
        for tensor in base.manifest.tensors {
            let parts = collected.parts(tensor.name)
            #expect(parts.map(\.0.count).reduce(0, +) == tensor.size)
            #expect(parts.allSatisfy { $0.0.lowerBound % (tensor.dtype.bits / 8) == 0 })
            #expect(Array(parts.map(\.1).joined()) == (try base.readTensor(tensor.name)))
        }
    }

    /// What a transform saw.
    final class Collected: @unchecked Sendable {
        private let lock = NSLock()
        private var seen: [String: [(Range<Int>, [UInt8])]] = [:]
        func add(_ name: String, _ range: Range<Int>, _ bytes: [UInt8]) {
            lock.withLock { seen[name, default: []].append((range, bytes)) }
        }
        func parts(_ name: String) -> [(Range<Int>, [UInt8])] {
            lock.withLock { (seen[name] ?? []).sorted { $0.0.lowerBound < $1.0.lowerBound } }
        }
    }

    @Test func `a transform that throws stops the rewrite`() throws {
        struct Broken: Error {}
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let base = try Self.version(store)
        let before = try store.list().count
        #expect(throws: Broken.self) {
            _ = try CheckpointRewriter.rewrite(base: base, parent: nil) { segment, _ in
                if segment.tensor.name == "big" { throw Broken() }
                return false
            }
        }
        #expect(try store.list().count == before)
    }

    @Test func `the difference has the norms of the change`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let base = try Self.version(store)
        let result = try CheckpointRewriter.rewrite(base: base, parent: nil) { segment, bytes in
            guard segment.tensor.name == "bias" else { return false }
            for index in 0..<4 {
                let old = Float(bitPattern: bytes.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self))
                Self.set(old + (index % 2 == 0 ? 3 : -4), bytes, index)
            }
            return true
        }
        let after = try CheckpointReader(store: store, manifestID: result.manifestID)
        let differences = try TensorDiff.compare(a: base, b: after, threads: 3)
        #expect(differences.map(\.tensor) == base.manifest.tensors.map(\.name))
        for difference in differences {
            #expect(difference.changed == (difference.tensor == "bias"), "\(difference.tensor)")
            guard difference.tensor == "bias" else {
                #expect(difference.l2 == 0 && difference.changedFraction == 0, "\(difference.tensor)")
                continue
            }
            #expect(abs((difference.l2 ?? 0) - 50.0.squareRoot()) < 1e-5)
            #expect(abs((difference.maxAbs ?? 0) - 4) < 1e-5)
            #expect(difference.changedFraction == 4.0 / 64)
            let norm = try base.readTensor("bias").withUnsafeBytes { raw in
                (0..<64).reduce(0.0) { sum, index in
                    let value = Float(
                        bitPattern: raw.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self))
                    return sum + Double(value) * Double(value)
                }
            }.squareRoot()
            #expect(abs((difference.relativeL2 ?? 0) - 50.0.squareRoot() / norm) < 1e-4)
        }
    }

    @Test func `tensors that cannot be compared are named with the reason`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        func version(_ tensors: [TestTensor]) throws -> CheckpointReader {
            let result = try store.take([("m.safetensors", TestTensor.file(tensors)), config])
            return try CheckpointReader(store: store, manifestID: result.manifestID)
        }
        let one = Array(TestTensor.length(UInt64(Float(1).bitPattern))[..<4])
        let nan = Array(TestTensor.length(UInt64(Float.nan.bitPattern))[..<4])
        let a = try version([
            TestTensor("zero", .f32, [2], [UInt8](repeating: 0, count: 8)),
            TestTensor("shape", .f32, [2], one + one), TestTensor("nan", .f32, [2], nan + one),
            TestTensor("wide", .f32, [2], one + one), TestTensor("four", .f4, [2], [1]),
            TestTensor("gone", .u8, [1], [1]),
        ])
        let b = try version([
            TestTensor("zero", .f32, [2], one + one), TestTensor("shape", .f32, [1, 2], one + one),
            TestTensor("nan", .f32, [2], one + one),
            TestTensor("wide", .bf16, [2], [0x80, 0x3F, 0x00, 0x40]),
            TestTensor("four", .f4, [2], [2]), TestTensor("new", .u8, [1], [1]),
        ])
        let found = Dictionary(
            uniqueKeysWithValues: try TensorDiff.compare(a: a, b: b).map { ($0.tensor, $0) })
        #expect(found.count == 7)
        #expect(found["zero"]?.relativeL2 == nil && found["zero"]?.l2 == 2.0.squareRoot())
        #expect(found["shape"]?.l2 == nil && found["shape"]?.note?.contains("shape") == true)
        #expect(found["nan"]?.l2 == 0 && found["nan"]?.note?.contains("1 elements") == true)
        #expect(found["nan"]?.changedFraction == 0.5)
        #expect(found["wide"]?.l2 == 1 && found["wide"]?.changedFraction == 0.5)
        #expect(found["four"]?.changed == true && found["four"]?.l2 == nil)
        #expect(found["gone"]?.note == "only in A" && found["new"]?.note == "only in B")
    }

    @Test func `two real versions differ everywhere`() throws {
        guard SharedData.exists("models/tofu-tiny/retrained") else {
            print("skipped: \(SharedData.root)/models/tofu-tiny is not there")
            return
        }
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let readers = try ["full", "retrained"].map { name in
            let opened = try OpenedFiles("\(SharedData.root)/models/tofu-tiny/\(name)")
            let result = try CheckpointImporter.import(files: opened.files, store: store)
            return try CheckpointReader(store: store, manifestID: result.manifestID)
        }
        let differences = try TensorDiff.compare(a: readers[0], b: readers[1])
        #expect(differences.count == 56)
        #expect(differences.allSatisfy { ($0.relativeL2 ?? -1) > 0 && $0.changed })
    }
}
