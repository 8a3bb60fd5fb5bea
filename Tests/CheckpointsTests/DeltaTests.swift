// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Foundation
import Protocol
import Testing

struct DeltaTests {
    /// A version and one made from it, whose chunks differ in a few elements.
    static func pair(
        _ store: ObjectStore, seed: UInt64 = 1, matrices: Int = 3
    ) throws -> (old: CheckpointImporter.Result, new: CheckpointImporter.Result) {
        var random = TestRandom(seed)
        var tensors = (0..<matrices).map { TestTensor("t\($0)", .bf16, [200_000], &random) }
        let old = try store.take([("m.safetensors", TestTensor.file(tensors)), config])
        for index in tensors.indices { edit(&tensors[index].bytes, width: 2, &random) }
        let new = try store.take([("m.safetensors", TestTensor.file(tensors)), config])
        return (old, new)
    }

    /// Gives a few elements other bits.
    static func edit(_ bytes: inout [UInt8], width: Int, _ random: inout TestRandom) {
        for _ in 0..<100 {
            let at = Int.random(in: 0..<bytes.count / width, using: &random) * width
            bytes.replaceSubrange(at..<at + width, with: random.bytes(width))
        }
        bytes[bytes.count - 1] ^= 1
    }

    static func optimize(
        _ store: ObjectStore, _ old: Digest, _ new: Digest, isDryRun: Bool = false
    ) throws -> StoreOptimizer.Report {
        try StoreOptimizer.run(
            store: store, pairs: [ManifestPair(parent: old, child: new)], inFull: [new], isDryRun: isDryRun)
    }

    static func deltas(_ store: ObjectStore) throws -> [Digest] {
        try store.list().filter { try store.stat($0)?.base != nil }
    }

    /// The chunks of the matrices.
    static func chunks(_ result: CheckpointImporter.Result) -> [Digest] {
        result.manifest.files[1].regions.dropFirst().map(\.id)
    }

    @Test func `chunks of every type come back, with random bits, NaNs and changed signs`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        var random = TestRandom(5)
        let types = DType.allCases
        var tensors = types.map {
            TestTensor($0.rawValue, $0, [307_200 * 8 / $0.bits], random.bytes(307_200))
        }
        // Small ones share a chunk, those of two types one without a type.
        tensors += types.prefix(2).map {
            TestTensor("small \($0.rawValue)", $0, [1002 * 8 / $0.bits], random.bytes(1002))
        }
        let old = try store.take([("m.safetensors", TestTensor.file(tensors)), config])
        var changed = tensors
        for (index, tensor) in tensors.enumerated() {
            let width = max(1, tensor.dtype.bits / 8)
            Self.edit(&changed[index].bytes, width: width, &random)
            guard index < types.count else { continue }
            // Zero, all ones (a NaN of every floating type), only the sign, infinity's and its neighbours' bits.
            let patterns: [UInt64] = [
                0, .max, 1 << (8 * width - 1), 0x7F80, 0x7F81, 0xFF80, 0x7C00, 0x7F80_0000, 0x7F80_0001,
                0x7FF0_0000_0000_0000, 0xFFF8_0000_0000_0001,
            ]
            for (place, pattern) in patterns.enumerated() {
                for byte in 0..<width {
                    let value = UInt8(truncatingIfNeeded: pattern >> (8 * byte))
                    // Once in the older and once in the newer version.
                    changed[index].bytes[place * width + byte] = value
                    tensors[index].bytes[(100 + place) * width + byte] = value
                }
            }
        }
        let first = try store.take([("m.safetensors", TestTensor.file(tensors)), config])
        let second = try store.take([("m.safetensors", TestTensor.file(changed)), config])
        let report = try Self.optimize(store, first.manifestID, second.manifestID)
        #expect(report.deltas == types.count + 1 && report.objects == report.deltas, "\(report)")
        #expect(report.bytesAfter * 10 < report.bytesBefore)
        #expect(try Self.deltas(store).count == report.deltas)
        for (tensors, version) in [(tensors, first), (changed, second)] {
            let reader = try CheckpointReader(store: store, manifestID: version.manifestID)
            for tensor in tensors {
                #expect(try reader.readTensor(tensor.name) == tensor.bytes, "\(tensor.name)")
            }
            try reader.verifyAll()
        }
        // Another import is none of this.
        try CheckpointReader(store: store, manifestID: old.manifestID).verifyAll()
    }

    @Test func `a dry run tells exactly what the run does and writes nothing`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let (old, new) = try Self.pair(store)
        let before = try store.list().map { try store.stat($0)?.storedSize }
        let plan = try Self.optimize(store, old.manifestID, new.manifestID, isDryRun: true)
        #expect(plan.deltas == 3)
        #expect(try store.list().map { try store.stat($0)?.storedSize } == before)
        let format = try String(contentsOfFile: store.root + "/FORMAT", encoding: .utf8)
        #expect(!format.contains("deltas"))
        #expect(try Self.optimize(store, old.manifestID, new.manifestID) == plan)
        let live = [old.manifestID, new.manifestID]
        let status = try StoreStatus.compute(store: store, liveManifests: live)
        #expect(status.deltaObjects == 3 && status.garbageObjects == 0)
        #expect(status.deltaSavedBytes == plan.bytesBefore - plan.bytesAfter)
        let again = try Self.optimize(store, old.manifestID, new.manifestID)
        #expect(again.deltas == 0 && again.already == 3)
    }

    @Test func `what is not smaller, or stays in full, is left as it is`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let (old, new) = try Self.pair(store)
        let other = try store.take(MaintenanceTests.contents(9))
        let unlike = try Self.optimize(store, other.manifestID, new.manifestID)
        #expect(unlike.deltas == 0 && unlike.unsuitable == 3)
        let kept = try StoreOptimizer.run(
            store: store, pairs: [ManifestPair(parent: old.manifestID, child: new.manifestID)],
            inFull: [old.manifestID, new.manifestID])
        #expect(kept.objects == 0)
        #expect(try Self.deltas(store).isEmpty)
        _ = try Self.optimize(store, old.manifestID, new.manifestID)
        // The older version has become the head again.
        let back = try StoreOptimizer.run(store: store, pairs: [], inFull: [old.manifestID])
        #expect(back.restored == 3 && back.restoredBytes > 0)
        #expect(try Self.deltas(store).isEmpty)
        try CheckpointReader(store: store, manifestID: old.manifestID).verifyAll()
    }

    @Test func `a store with deltas says so to programs that do not know them`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let (old, new) = try Self.pair(store)
        _ = try Self.optimize(store, old.manifestID, new.manifestID)
        let path = store.root + "/FORMAT"
        let format = try StrictJSON.parse(String(contentsOfFile: path, encoding: .utf8))
        for list in ["read", "write", "check", "delete"] { #expect(format[list] == ["deltas"]) }
        _ = try directory.store()
        // What such a program does with it, and this one with the next feature.
        let text = try String(contentsOfFile: path, encoding: .utf8)
        try text.replacingOccurrences(of: "deltas", with: "later").write(
            toFile: path, atomically: false, encoding: .utf8)
        do {
            _ = try directory.store()
            Issue.record("the store was opened")
        } catch let error as CheckpointError {
            #expect(error.code == .newerFormat && error.message.contains("\"later\""), "\(error)")
        }
    }

    @Test func `chains stay short, and old versions of a long line are read as they were`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        var random = TestRandom(3)
        var tensor = TestTensor("t", .f32, [100_000], &random)
        var versions: [(Digest, [UInt8])] = []
        for _ in 0..<14 {
            let result = try store.take([("m.safetensors", TestTensor.file([tensor])), config])
            versions.append((result.manifestID, tensor.bytes))
            Self.edit(&tensor.bytes, width: 4, &random)
        }
        // First one by one as they come, then the line as a whole.
        for index in 1..<4 {
            _ = try Self.optimize(store, versions[index - 1].0, versions[index].0)
        }
        let pairs = (1..<versions.count).reversed().map {
            ManifestPair(parent: versions[$0 - 1].0, child: versions[$0].0)
        }
        let report = try StoreOptimizer.run(store: store, pairs: pairs, inFull: [versions[13].0])
        #expect(report.unsuitable > 0 && report.deltas > 0)
        var longest = 0
        for id in try store.list() {
            var depth = 0
            var next = try store.stat(id)?.base
            while let base = next {
                depth += 1
                next = try store.stat(base)?.base
            }
            longest = max(longest, depth)
        }
        #expect(longest == ObjectStore.deepest)
        for (manifest, bytes) in versions {
            let reader = try CheckpointReader(store: store, manifestID: manifest)
            #expect(try reader.readTensor("t") == bytes)
        }
        #expect(
            try StoreVerifier.run(store: store, manifestIDs: versions.map(\.0), level: .full).isSound)
    }

    @Test func `tensors that changed places do not become differences from each other`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        var random = TestRandom(4)
        let a = TestTensor("a", .bf16, [200_000], &random)
        var b = TestTensor("b", .bf16, [200_000], a.bytes)
        Self.edit(&b.bytes, width: 2, &random)
        let (x, y) = (TestTensor("a", .bf16, [200_000], b.bytes), TestTensor("b", .bf16, [200_000], a.bytes))
        let first = try store.take([("m.safetensors", TestTensor.file([a, b])), config])
        let second = try store.take([("m.safetensors", TestTensor.file([x, y])), config])
        let report = try StoreOptimizer.run(
            store: store, pairs: [ManifestPair(parent: first.manifestID, child: second.manifestID)],
            inFull: [])
        #expect(report.deltas == 1 && report.unsuitable == 1)
        try CheckpointReader(store: store, manifestID: first.manifestID).verifyAll()
        try CheckpointReader(store: store, manifestID: second.manifestID).verifyAll()
    }

    // MARK: Hostile files

    /// Writes a delta's file under another name and with another head, whose checksum is right.
    private static func forge(
        _ store: ObjectStore, _ id: Digest, as other: Digest, _ change: (inout [UInt8]) -> Void
    ) throws {
        var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: store.objectPath(id))))
        let raw = bytes[8..<16].enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
        let end = 92 + ((raw + (1 << 20) - 1) >> 20) * Int(bytes[81]) * 9
        bytes.replaceSubrange(16..<48, with: other.bytes)
        change(&bytes)
        let checksum = bytes[..<end].withUnsafeBytes { crc32c($0) }
        for byte in 0..<4 { bytes[end + byte] = UInt8(truncatingIfNeeded: checksum >> (8 * byte)) }
        try? FileManager.default.removeItem(atPath: store.objectPath(other))
        try Data(bytes).write(to: URL(fileURLWithPath: store.objectPath(other)))
    }

    private static func expectRefused(
        _ store: ObjectStore, _ id: Digest, _ words: String, _ code: CheckpointError.Code = .corrupt
    ) {
        for level in [0, 1] {
            do {
                if level == 0 {
                    _ = try store.get(id)
                } else {
                    var buffer = [UInt8](repeating: 0, count: ChunkPlan.grid)
                    _ = try buffer.withUnsafeMutableBytes { try store.get(id, into: $0) }
                }
                Issue.record("\(words): it was read")
            } catch let error as CheckpointError {
                #expect(error.code == code && error.message.contains(words), "\(error)")
            } catch {
                Issue.record("\(error)")
            }
        }
    }

    @Test func `no forged delta is read, and none of them stops a verification or a collection`() throws {
        let directory = try TemporaryDirectory()
        let pristine = try directory.store()
        let (old, new) = try Self.pair(pristine)
        _ = try Self.optimize(pristine, old.manifestID, new.manifestID)
        let short = try pristine.begin().put(
            [UInt8](repeating: 7, count: 399_998), kind: .chunk, dtype: .bf16
        ).id
        let blob = try pristine.begin().put([UInt8](repeating: 9, count: 400_000), kind: .blob).id
        let (delta, full) = (Self.chunks(old)[0], Self.chunks(new)[0])
        let other = Self.chunks(new)[1]
        let absent = ContentHash.of([1])
        typealias Change = (inout [UInt8]) -> Void
        func base(_ id: Digest) -> Change { { $0.replaceSubrange(48..<80, with: id.bytes) } }
        let cases: [(String, CheckpointError.Code, Change)] = [
            ("it is not there", .corrupt, base(absent)),
            ("its base is itself", .corrupt, base(delta)),
            ("399998 bytes where 400000 belong", .corrupt, base(short)),
            ("400000 bytes where 400000 belong", .corrupt, base(blob)),
            ("do not hash to its id", .corrupt, base(other)),
            ("not those of its type", .corrupt, { $0[7] = 18 }),
            ("not those of its type", .corrupt, { $0[80] = 2 }),
            ("only a chunk", .corrupt, { $0[5] = 2 }),
            ("no object's file has", .corrupt, { $0[91] = 0xFF }),
            ("representation 2", .newerFormat, { $0[6] = 2 }),
            ("raw bytes", .corrupt, { $0[10] = 0xFF }),
        ]
        for (words, code, change) in cases {
            let root = directory.path + "/copy"
            try FileManager.default.copyItem(atPath: pristine.root, toPath: root)
            defer { try? FileManager.default.removeItem(atPath: root) }
            let store = try ObjectStore(root: root)
            try Self.forge(store, delta, as: delta, change)
            if words != "raw bytes" { Self.expectRefused(store, delta, words, code) }
            #expect(failureCode { _ = try store.get(delta) } == code)
            let live = [old.manifestID, new.manifestID]
            for level in [StoreVerifier.Level.quick, .full] {
                let report = try StoreVerifier.run(store: store, manifestIDs: live, level: level)
                if level == .full || !words.contains("hash") {
                    #expect(report.corrupt.contains { $0.id == delta }, "\(words) at \(level)")
                }
            }
            // Nothing else is lost by it.
            _ = try GarbageCollector.run(store: store, liveManifests: live, cutoff: .max)
            try CheckpointReader(store: store, manifestID: new.manifestID).verifyAll()
        }
        // Two that hang on each other, a ring of which neither has an end.
        try Self.forge(pristine, delta, as: full, base(delta))
        Self.expectRefused(pristine, delta, "hangs on itself")
        Self.expectRefused(pristine, full, "hangs on itself")
        let report = try StoreVerifier.run(
            store: pristine, manifestIDs: [old.manifestID, new.manifestID], level: .full)
        #expect(Set(report.corrupt.map(\.id)) == [delta, full])
        #expect(report.corrupt.allSatisfy { $0.manifests.contains(old.manifestID) })
        _ = try GarbageCollector.run(store: pristine, liveManifests: [], cutoff: .max)
        #expect(try pristine.list().isEmpty)
    }

    @Test func `a chain that is too deep is refused`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let (old, new) = try Self.pair(store, matrices: 1)
        _ = try Self.optimize(store, old.manifestID, new.manifestID)
        let delta = Self.chunks(old)[0]
        var last = delta
        for step in 0..<ObjectStore.deepest {
            let next = ContentHash.of([UInt8(step)])
            let path = store.objectPath(next)
            try FileManager.default.createDirectory(
                atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            let base = last
            try Self.forge(store, delta, as: next) { $0.replaceSubrange(48..<80, with: base.bytes) }
            last = next
        }
        Self.expectRefused(store, last, "more than 8 differences deep")
        _ = try store.get(delta)
    }

    @Test func `a flip of any byte of a delta's file is found`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let (old, new) = try Self.pair(store, matrices: 1)
        _ = try Self.optimize(store, old.manifestID, new.manifestID)
        let delta = Self.chunks(old)[0]
        let path = store.objectPath(delta)
        let whole = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        for at in whole.indices {
            try damage(path) { $0[at] ^= 1 << (at % 8) }
            #expect(failureCode { _ = try store.get(delta) } != nil, "byte \(at)")
            try damage(path) { $0 = whole }
        }
        for count in stride(from: 0, to: whole.count, by: 7) {
            try damage(path) { $0 = Array(whole[..<count]) }
            #expect(failureCode { _ = try store.get(delta) } == .corrupt, "\(count) bytes")
        }
    }
}
