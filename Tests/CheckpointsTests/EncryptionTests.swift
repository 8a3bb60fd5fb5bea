// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Foundation
import Protocol
import Testing

struct EncryptionTests {
    private let directory: TemporaryDirectory
    private let master: MasterKey
    private var root: String { directory.path + "/store" }

    init() throws {
        directory = try TemporaryDirectory()
        var random = TestRandom(5)
        master = try MasterKey(parsing: random.bytes(32))
    }

    private func open(making: Bool = true) throws -> (ring: KeyRing, store: ObjectStore) {
        let ring = try KeyRing.open(root: root, master: master, making: making)
        return (ring, try ObjectStore(root: root, keys: ring))
    }

    private func put(_ bytes: [UInt8], _ store: ObjectStore, _ kind: ObjectKind = .blob) throws -> Digest {
        let transaction = try store.begin()
        defer { transaction.close() }
        let id = try transaction.put(bytes, kind: kind).id
        try transaction.sync()
        return id
    }

    private func file(_ path: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    /// Every file under the store's directory.
    private func files() throws -> [String] {
        let names = try #require(FileManager.default.enumerator(atPath: root)?.allObjects as? [String])
        return names.map { root + "/" + $0 }.filter {
            (try? FileManager.default.attributesOfItem(atPath: $0)[.type] as? FileAttributeType)
                == .typeRegular
        }
    }

    @Test func `what is put comes back, and no file shows any of it`() throws {
        let (ring, store) = try open()
        var random = TestRandom(11)
        // Longer than a frame and a piece, in three kinds, and nothing at all.
        let chunk = random.weights(.f32, 700_001)
        let needle = Array("a canary that no file may show".utf8)
        let blob = needle + random.bytes(3_000_000)
        let ids = [
            try put(chunk, store, .chunk), try put(blob, store), try put([], store), try put(needle, store),
        ]
        let text = Array("{\"text\":\"a canary that no file may show\"}\n".utf8)
        let dataset = try store.putDataset(text)
        for (id, bytes) in zip(ids, [chunk, blob, [], needle]) {
            #expect(try store.get(id) == bytes)
            #expect(try store.stat(id)?.rawSize == bytes.count)
            let size = try file(store.objectPath(id)).count
            #expect(try store.stat(id)?.storedSize == size)
        }
        #expect(try store.readDataset(dataset) == text)
        for path in try files() {
            let bytes = Data(try file(path))
            #expect(bytes.range(of: Data(needle)) == nil, "\(path)")
            if path.contains("/objects/") || path.contains("/datasets/") {
                #expect(bytes.starts(with: Data("ULE1".utf8)), "\(path)")
            }
        }
        let (again, reopened) = try open(making: false)
        #expect(again.generation == ring.generation)
        #expect(try reopened.get(ids[1]) == blob && reopened.readDataset(dataset) == text)
        let report = try StoreVerifier.run(store: reopened, manifestIDs: [], level: .full)
        #expect(report.isSound && report.objects == 5)
    }

    @Test
    func `the store says that it is encrypted, and a program without keys or with another one is told so`()
        throws
    {
        let (_, store) = try open()
        let id = try put([1, 2, 3], store)
        let format = try StrictJSON.parse(try file(root + "/FORMAT"))
        for list in ["read", "write", "check", "delete"] { #expect(format[list] == ["encryption"]) }
        #expect(try ObjectStore.isEncrypted(root: root) == true)
        let blind = try ObjectStore(root: root)
        #expect(blind.isEncrypted)
        #expect(failureCode { _ = try blind.get(id) } == .locked)
        #expect(failureCode { _ = try put([4], blind) } == .locked)
        var random = TestRandom(6)
        let wrong = try MasterKey(parsing: random.bytes(32))
        let error = #expect(throws: CheckpointError.self) {
            try KeyRing.open(root: root, master: wrong, making: false)
        }
        #expect(error?.code == .locked)
        #expect(error?.message.contains(master.id) == true && error?.message.contains(wrong.id) == true)
        // Keys for a store that is not encrypted.
        let plain = try TemporaryDirectory()
        _ = try plain.store()
        let ring = try KeyRing.open(root: plain.path + "/store", master: master, making: true)
        #expect(failureCode { _ = try ObjectStore(root: plain.path + "/store", keys: ring) } == .locked)
        // A ring that is gone is not made anew.
        let keys = root + "/keys"
        for name in try FileManager.default.contentsOfDirectory(atPath: keys) {
            try FileManager.default.removeItem(atPath: keys + "/" + name)
        }
        #expect(failureCode { _ = try open(making: false) } == .missing)
    }

    @Test func `a master key is 32 bytes or 64 digits, and nothing else`() throws {
        var random = TestRandom(7)
        let bytes = random.bytes(32)
        let digits = bytes.map { String(format: "%02x", $0) }.joined()
        let key = try MasterKey(parsing: bytes)
        #expect(try MasterKey(parsing: Array(digits.utf8)).id == key.id)
        #expect(try MasterKey(parsing: Array((digits.uppercased() + "\n").utf8)).id == key.id)
        #expect(key.id.utf8.count == 16)
        for wrong in [
            [], Array(bytes.dropLast()), bytes + [0], Array((digits + "0").utf8),
            Array(repeating: 0, count: 32),
        ] {
            #expect(failureCode { _ = try MasterKey(parsing: wrong) } == .locked)
        }
    }

    @Test func `no two files have the same key and salt, not even of the same object`() throws {
        let (_, store) = try open()
        var seen: Set<[UInt8]> = []
        for round in 0..<40 {
            let id = try put([UInt8(round % 4)] + Array("the same four objects".utf8), store)
            seen.insert(Array(try file(store.objectPath(id))[8..<40]))
            try #require(try store.remove(id))
        }
        #expect(seen.count == 40)
        // One transaction uses one key and many salts.
        let transaction = try store.begin()
        var keys: Set<[UInt8]> = []
        var salts: Set<[UInt8]> = []
        for round in 0..<40 {
            let id = try transaction.put([UInt8(round), 7], kind: .blob).id
            let head = try file(store.objectPath(id))
            keys.insert(Array(head[8..<24]))
            salts.insert(Array(head[24..<40]))
        }
        #expect(keys.count == 1 && salts.count == 40)
    }

    @Test func `a change of any byte is found, put aside, and healed by the same bytes`() throws {
        let (_, store) = try open()
        var random = TestRandom(13)
        let bytes = random.bytes(1_100_000)
        let id = try put(bytes, store, .chunk)
        let path = store.objectPath(id)
        let sealed = try file(path)
        let inner = Int(sealed[40]) | Int(sealed[41]) << 8
        // Of each region: magic, version, key, salt, both lengths, the sealed head and its tag, the pieces, their tags.
        let places =
            Array(0..<52) + [52, 52 + inner - 1, 52 + inner, 52 + inner + 15, 52 + inner + 16]
            + [100_000, 1_048_576 + 52 + inner + 16, sealed.count - 17, sealed.count - 16, sealed.count - 1]
        for place in places {
            try damage(path) { $0[place] ^= 0x41 }
            let code = failureCode { _ = try store.get(id) }
            switch place {
            case 4..<8: #expect(code == .newerFormat, "byte \(place)")
            case 8..<24: #expect(code == .locked, "byte \(place)")
            default: #expect(code == .corrupt, "byte \(place)")
            }
            let report = try StoreVerifier.run(
                store: store, manifestIDs: [], level: .full, quarantine: true)
            #expect(report.corrupt.map(\.id) == [id], "byte \(place)")
            #expect(FileManager.default.fileExists(atPath: path) == (4..<24).contains(place), "byte \(place)")
            #expect(try put(bytes, store, .chunk) == id)
            #expect(try store.get(id) == bytes, "byte \(place)")
        }
        for cut in [0, 51, 52, 60, sealed.count - 1] {
            try damage(path) { $0 = Array($0.prefix(cut)) }
            #expect(failureCode { _ = try store.get(id) } == .corrupt, "cut to \(cut)")
            _ = try put(bytes, store, .chunk)
        }
        try damage(path) { $0.append(0) }
        #expect(failureCode { _ = try store.get(id) } == .corrupt)
    }

    @Test func `files and pieces cannot take each other's place, and a plain one is no object`() throws {
        let (_, store) = try open()
        var random = TestRandom(17)
        let (a, b) = (random.bytes(2_200_000), random.bytes(2_200_000))
        let (first, second) = (try put(a, store), try put(b, store))
        try damage(store.objectPath(first)) { $0 = (try? file(store.objectPath(second))) ?? [] }
        #expect(failureCode { _ = try store.get(first) } == .corrupt)
        _ = try put(a, store)
        let inner = Int(try file(store.objectPath(first))[40])
        let piece = 52 + inner + 16
        try damage(store.objectPath(first)) { bytes in
            let size = 1_048_576 + 16
            let one = Array(bytes[piece..<piece + size])
            bytes.replaceSubrange(piece..<piece + size, with: bytes[piece + size..<piece + 2 * size])
            bytes.replaceSubrange(piece + size..<piece + 2 * size, with: one)
        }
        #expect(failureCode { _ = try store.get(first) } == .corrupt)
        let plain = try TemporaryDirectory()
        let other = try plain.store()
        _ = try put(b, other)
        try damage(store.objectPath(second)) { $0 = (try? file(other.objectPath(second))) ?? [] }
        #expect(failureCode { _ = try store.get(second) } == .corrupt)
    }

    @Test func `thinning destroys the keys of what is gone and keeps those of what is shared`() throws {
        let (ring, store) = try open()
        let transaction = try store.begin()
        let kept = try transaction.put([1] + Array("stays".utf8), kind: .blob).id
        let gone = try transaction.put([2] + Array("goes".utf8), kind: .blob).id
        try transaction.sync()
        transaction.close()
        let copy = try file(store.objectPath(gone))
        let before = try file("\(root)/keys/ring.\(ring.generation)")
        // Somebody writes meanwhile: that key stays whole.
        let open = try store.begin()
        let early = try open.put([3], kind: .blob).id
        #expect(try store.remove(gone))
        let thinned = try ring.thin(to: store)
        #expect(thinned.destroyed == 1 && thinned.kept == 1 && thinned.inUse == 1)
        #expect(ring.count == (1, 1))
        let late = try open.put([4], kind: .blob).id
        for (id, first) in [(kept, UInt8(1)), (early, 3), (late, 4)] {
            #expect(try store.get(id).first == first)
        }
        // Its file, if it came back, says nothing to anyone who has the ring.
        try Data(copy).write(to: URL(fileURLWithPath: store.objectPath(gone)))
        #expect(failureCode { _ = try store.get(gone) } == .locked)
        let again = try KeyRing.open(root: root, master: master, making: false)
        let reopened = try ObjectStore(root: root, keys: again)
        #expect(failureCode { _ = try reopened.get(gone) } == .locked)
        #expect(try reopened.get(kept).first == 1 && reopened.get(late).first == 4)
        // With the ring of before it would.
        let probe = try TemporaryDirectory()
        try probe.write(before, "store/keys/ring.2")
        let old = try KeyRing.open(root: probe.path + "/store", master: master, making: false)
        let reader = try ObjectStore(root: probe.path + "/store", keys: old)
        try probe.write(copy, String(reader.objectPath(gone).dropFirst(probe.path.utf8.count + 1)))
        #expect(try reader.get(gone).first == 2)
        // One ring is left, and it is not that.
        let rings = try FileManager.default.contentsOfDirectory(atPath: root + "/keys")
        #expect(rings == ["ring.\(ring.generation)"])
        // Nothing is left: the key goes, too.
        open.close()
        for id in [kept, early, late, gone] { _ = try store.remove(id) }
        _ = try ring.thin(to: store)
        #expect(ring.count == (0, 0))
    }

    @Test func `a worker reads and writes with the keys that it is handed, and gets those that come later`()
        throws
    {
        let (ring, store) = try open()
        let old = try put([1], store)
        let keys = HandedKeys()
        let handed = try ring.hand(writes: true) { try? keys.take($0) }
        try keys.take(handed.keys, writing: handed.writing)
        let worker = try ObjectStore(root: root, keys: keys)
        #expect(try worker.get(old) == [1])
        let made = try put([2], worker)
        #expect(try store.get(made) == [2])
        // Of another writer, which begins later.
        let late = try put([3], store)
        #expect(try worker.get(late) == [3])
        ring.take(back: handed)
        let missed = try put([4], store)
        #expect(failureCode { _ = try worker.get(missed) } == .locked)
        // Who may only read has nothing to write with.
        let reading = HandedKeys()
        try reading.take(try ring.hand(writes: false).keys)
        let reader = try ObjectStore(root: root, keys: reading)
        #expect(try reader.get(made) == [2])
        #expect(failureCode { _ = try put([5], reader) } == .locked)
        #expect(failureCode { try reading.take("AAAA") } == .locked)
        #expect(failureCode { try reading.take("", writing: "AAAA") } == .locked)
    }

    @Test func `differences, an edit and a collection work in an encrypted store`() throws {
        let (ring, store) = try open()
        var random = TestRandom(19)
        let first = try store.take([
            ("m.safetensors", TestTensor.file([TestTensor("w", .bf16, [300_000], &random)])), config,
        ])
        let base = try CheckpointReader(store: store, manifestID: first.manifestID)
        let second = try CheckpointRewriter.rewrite(base: base, threads: 2, parent: first.manifestID) {
            _, bytes in
            bytes[0] ^= 1
            return true
        }
        let report = try StoreOptimizer.run(
            store: store, pairs: [ManifestPair(parent: first.manifestID, child: second.manifestID)],
            inFull: [second.manifestID])
        #expect(report.deltas == 1 && report.bytesAfter < report.bytesBefore)
        let format = try StrictJSON.parse(try file(root + "/FORMAT"))
        #expect(format["read"] == ["encryption", "deltas"])
        for id in [first.manifestID, second.manifestID] {
            try CheckpointReader(store: store, manifestID: id).verifyAll(threads: 2)
        }
        // The newer one goes: what hangs on it is written in full, with a key of its own.
        _ = try store.detach(liveManifests: [first.manifestID], givesUpDamaged: false)
        let garbage = try GarbageCollector.run(
            store: store, liveManifests: [first.manifestID], cutoff: .max)
        #expect(garbage.objects == 2)
        _ = try ring.thin(to: store)
        try CheckpointReader(store: store, manifestID: first.manifestID).verifyAll(threads: 2)
        #expect(try StoreVerifier.run(store: store, manifestIDs: [first.manifestID], level: .full).isSound)
    }

    @Test func `a damaged ring, one of another number and one of a newer form are refused`() throws {
        let (ring, store) = try open()
        _ = try put([1], store)
        let path = "\(root)/keys/ring.\(ring.generation)"
        let whole = try file(path)
        for place in 0..<whole.count {
            try damage(path) { $0[place] ^= 0x41 }
            let code = failureCode { _ = try open(making: true) }
            switch place {
            case 4..<8: #expect(code == .newerFormat, "byte \(place)")
            case 16..<32: #expect(code == .locked || code == .corrupt, "byte \(place)")
            default: #expect(code == .corrupt, "byte \(place)")
            }
            try Data(whole).write(to: URL(fileURLWithPath: path))
        }
        try damage(path) { $0 = Array($0.prefix(40)) }
        #expect(failureCode { _ = try open() } == .corrupt)
        try FileManager.default.removeItem(atPath: path)
        try Data(whole).write(to: URL(fileURLWithPath: "\(root)/keys/ring.9"))
        #expect(failureCode { _ = try open() } == .corrupt)
    }

    @Test func `backups of an encrypted store are encrypted, with a ring of their own`() throws {
        let (ring, store) = try open()
        var random = TestRandom(23)
        let versions = try (0..<2).map { _ in
            try store.take([
                ("m.safetensors", TestTensor.file([TestTensor("w", .f32, [3000], &random)])), config,
            ]).manifestID
        }
        let root = directory.path + "/backup"
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        let backup = try BackupDirectory(root: root, making: true, access: .master(master))
        let own = try #require(backup.ring)
        let keys = HandedKeys()
        let handed = try own.hand(writes: true)
        try keys.take(handed.keys, writing: handed.writing)
        let target = try BackupDirectory(root: root, making: false, access: .handed(keys))
        let copied = try ObjectCopier(from: store, to: target.store, verifies: false, threads: 2).copy(
            manifests: versions, datasets: []
        ) { _, _ in }
        own.take(back: handed)
        #expect(copied.copied == copied.objects.count)
        // The ring of the store opens nothing of it.
        #expect(
            failureCode { _ = try ObjectStore(root: root, kind: .backup, keys: ring).get(versions[0]) }
                == .locked)
        let plain = try BackupDirectory(root: root, making: false)
        #expect(plain.store.isEncrypted && plain.ring == nil)
        #expect(failureCode { _ = try plain.store.get(versions[0]) } == .locked)
        let wrong = try MasterKey(parsing: random.bytes(32))
        #expect(
            failureCode { _ = try BackupDirectory(root: root, making: false, access: .master(wrong)) }
                == .locked)
        // What goes from it takes its keys with it.
        let copy = try file(target.store.objectPath(versions[0]))
        _ = try target.store.remove(versions[0])
        _ = try own.thin(to: target.store)
        try Data(copy).write(to: URL(fileURLWithPath: target.store.objectPath(versions[0])))
        let again = try BackupDirectory(root: root, making: false, access: .reading(master))
        #expect(failureCode { _ = try again.store.get(versions[0]) } == .locked)
        try CheckpointReader(store: again.store, manifestID: versions[1]).verifyAll(threads: 1)
        // Heals the store.
        _ = try store.remove(versions[1])
        let healed = try StoreHealer(store, from: again.store, dryRun: false, threads: 1).run(
            manifests: [versions[1]], datasets: []
        ) { _, _ in }
        #expect(healed.healed == [versions[1]])
    }
}
