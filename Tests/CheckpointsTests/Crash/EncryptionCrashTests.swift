// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Foundation
import Protocol
import Testing

/// An encrypted store on a disk whose power is cut, and on one that fails.
struct EncryptionCrashTests {
    private let master: MasterKey
    private let other: MasterKey

    init() throws {
        var random = TestRandom(3)
        master = try MasterKey(parsing: random.bytes(32))
        other = try MasterKey(parsing: random.bytes(32))
    }

    /// Takes a version, makes a second that shares a chunk with it, purges the first, destroys its keys, and changes the
    /// master key.
    private func life(
        _ root: String, _ fileSystem: any FileSystem, _ source: ([UInt8]) -> Int32,
        _ bytes: (String) throws -> [UInt8], _ record: (Promise) -> Void
    ) throws -> Set<Digest> {
        let ring = try KeyRing.open(root: root, master: master, making: true, fileSystem: fileSystem)
        let store = try ObjectStore(root: root, keys: ring, fileSystem: fileSystem)
        var random = TestRandom(41)
        let weights = TestTensor.file([
            TestTensor("kept", .bf16, [140_000], &random), TestTensor("edited", .f32, [2000], &random),
        ])
        let first = try CheckpointImporter.import(
            files: [("m.safetensors", weights), config].map {
                ImportFile(path: $0.0, descriptor: source($0.1))
            }, store: store, threads: 1)
        record(.version(first.manifestID))
        let text = Array("{\"text\":\"to be forgotten\"}\n".utf8)
        let dataset = try store.putDataset(text)
        record(.dataset(text))
        let base = try CheckpointReader(store: store, manifestID: first.manifestID)
        let second = try CheckpointRewriter.rewrite(base: base, threads: 1, parent: first.manifestID) {
            segment, bytes in
            guard segment.tensor.name == "edited" else { return false }
            bytes[0] ^= 1
            return true
        }
        record(.version(second.manifestID))

        let before = Set(try store.list())
        var files: [Digest: [UInt8]] = [:]
        for id in before { files[id] = try bytes(store.objectPath(id)) }
        record(.giveUp(first.manifestID))
        record(.giveUpDataset(dataset))
        #expect(try store.removeDataset(dataset))
        _ = try GarbageCollector.run(
            store: store, liveManifests: [second.manifestID], cutoff: .max, durably: true)
        let gone = before.subtracting(try store.list())
        record(.objectsGone(gone))
        let thinned = try ring.thin(to: store)
        #expect(thinned.destroyed == 3 && thinned.kept > 0 && thinned.inUse == 0)
        for id in gone { record(.isSealedForGood(id, files[id] ?? [])) }
        record(.datasetGone(dataset))
        // Work goes on, and the ring with it.
        let later = Array("{\"text\":\"later\"}\n".utf8)
        _ = try store.putDataset(later)
        record(.dataset(later))
        try ring.rekey(other)
        record(.masterGone(master))
        return [first.manifestID, second.manifestID]
    }

    @Test func `no crash loses a version or brings back a key that was destroyed`() throws {
        let disk = SimulatedFileSystem(CrashTests.empty)
        let known = try life(
            CrashTrace.root, disk, { disk.source($0) }, { try disk.bytes($0) }, { disk.record($0) })
        let trace = CrashTrace(
            start: CrashTests.empty, events: disk.events, known: known, masters: [master, other])
        let outcome = trace.examine(after: trace.events.indices, thorough: true)
        #expect(outcome.violation == nil)
        print("crash states of an encrypted store: \(outcome.states) after \(trace.events.count) events")
        #expect(outcome.states >= 5_000)
    }

    @Test(arguments: [ENOSPC, EIO])
    func `a failure of any operation leaves a store that can be read and gone on with`(number: Int32) throws {
        let temporary = try TemporaryDirectory()
        var step = 1
        while true {
            let failing = FailingFileSystem(failAt: step, number)
            let root = "\(temporary.path)/\(step)"
            var versions: Set<Digest> = []
            var code: CheckpointError.Code?
            do {
                _ = try life(
                    root, failing,
                    { bytes in
                        let path = "\(temporary.path)/source"
                        try? FileManager.default.removeItem(atPath: path)
                        _ = try? Data(bytes).write(to: URL(fileURLWithPath: path))
                        return open(path, O_RDONLY)
                    }, { Array(try Data(contentsOf: URL(fileURLWithPath: $0))) },
                    { promise in
                        switch promise {
                        case .version(let id): versions.insert(id)
                        case .giveUp(let id): versions.remove(id)
                        default: break
                        }
                    })
            } catch let error as CheckpointError {
                code = error.code
            }
            guard failing.failed else {
                #expect(code == nil)
                break
            }
            #expect(code == (number == EIO ? .ioFailure : .storageFull), "operation \(step)")
            let ring = [master, other].lazy.compactMap {
                try? KeyRing.open(root: root, master: $0, making: true)
            }.first
            guard let ring else {
                Issue.record("operation \(step): no master key opens the ring")
                break
            }
            let store = try ObjectStore(root: root, keys: ring)
            for id in versions { try CheckpointReader(store: store, manifestID: id).verifyAll(threads: 1) }
            let text = Array("{\"text\":\"after\"}\n".utf8)
            #expect(try store.readDataset(try store.putDataset(text)) == text)
            _ = try ring.thin(to: store)
            for id in versions { try CheckpointReader(store: store, manifestID: id).verifyAll(threads: 1) }
            try FileManager.default.removeItem(atPath: root)
            step += 1
        }
        #expect(step > 60)
    }
}
