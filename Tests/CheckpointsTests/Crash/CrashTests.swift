// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Protocol
import Testing

struct CrashTests {
    /// A run that opens a store, imports, edits, keeps and removes a text, collects, and moves damage aside.
    static func life(on start: SimulatedDisk = CrashTests.empty) throws -> CrashTrace {
        let disk = SimulatedFileSystem(start)
        let store = try ObjectStore(root: CrashTrace.root, fileSystem: disk)
        var random = TestRandom(31)
        let kept = TestTensor("kept", .bf16, [140_000], &random)
        let weights = TestTensor.file([kept, TestTensor("edited", .f32, [2000], &random)])
        // Another writer has the same chunk in place and is not done: the import must make it durable itself.
        let other = try store.begin()
        _ = try other.put(kept.bytes, kind: .chunk, dtype: .bf16)
        let first = try CheckpointImporter.import(
            files: [("m.safetensors", weights), config].map {
                ImportFile(path: $0.0, descriptor: disk.source($0.1))
            }, store: store, threads: 1)
        disk.record(.version(first.manifestID))

        let text = Array("{\"text\":\"to be forgotten\"}\n".utf8)
        let dataset = try store.putDataset(text)
        disk.record(.dataset(text))

        let base = try CheckpointReader(store: store, manifestID: first.manifestID)
        let second = try CheckpointRewriter.rewrite(base: base, threads: 1, parent: first.manifestID) {
            segment, bytes in
            guard segment.tensor.name == "edited" else { return false }
            bytes[0] ^= 1
            return true
        }
        disk.record(.version(second.manifestID))

        let before = Set(try store.list())
        disk.record(.giveUp(first.manifestID))
        _ = try GarbageCollector.run(
            store: store, liveManifests: [second.manifestID], cutoff: .max, durably: true)
        disk.record(.objectsGone(before.subtracting(try store.list())))

        disk.record(.giveUpDataset(dataset))
        #expect(try store.removeDataset(dataset))
        disk.record(.datasetGone(dataset))
        let blob = ContentHash.of(text)
        #expect(try store.remove(blob))
        disk.record(.objectsGone([blob]))

        let damaged = try store.begin()
        let id = try damaged.put([1, 2, 3], kind: .blob).id
        try damaged.sync()
        damaged.close()
        disk.record(.object(id))
        disk.record(.giveUpObject(id))
        try store.quarantine(id)
        disk.record(.quarantined(id))
        return CrashTrace(
            start: start, events: disk.events, known: [first.manifestID, second.manifestID])
    }

    /// A run in which an older version becomes differences from the newer one, is written in full again because the
    /// newer one goes, becomes differences once more, and goes with everything.
    static func lifeOfDifferences(on start: SimulatedDisk = CrashTests.empty) throws -> CrashTrace {
        let disk = SimulatedFileSystem(start)
        let store = try ObjectStore(root: CrashTrace.root, fileSystem: disk)
        var random = TestRandom(37)
        var tensors = [
            TestTensor("first", .bf16, [140_000], &random), TestTensor("second", .bf16, [135_000], &random),
        ]
        func take() throws -> CheckpointImporter.Result {
            try CheckpointImporter.import(
                files: [("m.safetensors", TestTensor.file(tensors)), config].map {
                    ImportFile(path: $0.0, descriptor: disk.source($0.1))
                }, store: store, threads: 1)
        }
        let first = try take()
        let chunks = first.manifest.files[1].regions.dropFirst().map(\.id)
        disk.record(.version(first.manifestID))
        func optimize(_ old: Digest, _ new: Digest) throws {
            for id in chunks { disk.record(.isDifference(id, nil)) }
            _ = try StoreOptimizer.run(
                store: store, pairs: [ManifestPair(parent: old, child: new)], inFull: [new])
            for id in chunks { disk.record(.isDifference(id, true)) }
        }
        func collect(_ live: [Digest]) throws {
            let before = Set(try store.list())
            _ = try GarbageCollector.run(store: store, liveManifests: live, cutoff: .max, durably: true)
            disk.record(.objectsGone(before.subtracting(try store.list())))
        }
        for index in tensors.indices { tensors[index].bytes[0] ^= 1 }
        let second = try take()
        disk.record(.version(second.manifestID))
        try optimize(first.manifestID, second.manifestID)

        disk.record(.giveUp(second.manifestID))
        let live = [first.manifestID]
        for id in chunks { disk.record(.isDifference(id, nil)) }
        let written = try store.detach(liveManifests: live, givesUpDamaged: false)
        #expect(written.objects == 2)
        for id in chunks { disk.record(.isDifference(id, false)) }
        try collect(live)

        for index in tensors.indices { tensors[index].bytes[2] ^= 1 }
        let third = try take()
        disk.record(.version(third.manifestID))
        try optimize(first.manifestID, third.manifestID)
        disk.record(.giveUp(first.manifestID))
        disk.record(.giveUp(third.manifestID))
        for id in chunks { disk.record(.isDifference(id, nil)) }
        try collect([])
        return CrashTrace(
            start: start, events: disk.events,
            known: [first.manifestID, second.manifestID, third.manifestID])
    }

    /// The state directory is there before the store.
    static let empty: SimulatedDisk = {
        var disk = SimulatedDisk()
        disk.apply(.name(directory: SimulatedDisk.root, "store", node: 1, isDirectory: true))
        return disk
    }()

    static let lives: [@Sendable () throws -> CrashTrace] = [{ try life() }, { try lifeOfDifferences() }]

    @Test(arguments: 0..<2)
    func `no crash loses what was acknowledged or brings back what was removed`(index: Int) throws {
        let trace = try Self.lives[index]()
        let outcome = trace.examine(after: trace.events.indices, thorough: true)
        #expect(outcome.violation == nil)
        print("crash states: \(outcome.states) after \(trace.events.count) events")
        #expect(outcome.states >= 8_000)
    }

    @Test(arguments: 0..<2) func `leaving out any one synchronisation is found`(index: Int) throws {
        let trace = try Self.lives[index]()
        #expect(trace.synchronizations.count > 20)
        for position in trace.synchronizations {
            let mutant = trace.without(position)
            let outcome = mutant.examine(after: position..<mutant.events.count, thorough: false)
            #expect(
                outcome.violation != nil, "the synchronisation at event \(position) of \(trace.events.count)")
        }
    }

    /// Collections that promise nothing, one of them of differences with what they are from, and a last one that does.
    private static func lifeOfCollections() throws -> CrashTrace {
        let disk = SimulatedFileSystem(empty)
        let store = try ObjectStore(root: CrashTrace.root, fileSystem: disk)
        var random = TestRandom(43)
        var tensor = TestTensor("only", .bf16, [140_000], &random)
        func take() throws -> Digest {
            try CheckpointImporter.import(
                files: [("m.safetensors", TestTensor.file([tensor])), config].map {
                    ImportFile(path: $0.0, descriptor: disk.source($0.1))
                }, store: store, threads: 1
            ).manifestID
        }
        let first = try take()
        tensor.bytes[0] ^= 1
        let second = try take()
        _ = try StoreOptimizer.run(
            store: store, pairs: [ManifestPair(parent: first, child: second)], inFull: [second])
        for byte in 1...3 { tensor.bytes[byte] ^= 1 }
        let kept = try take()
        disk.record(.version(kept))
        let all = Set(try store.list())
        // The difference alone, then what it was from, which no power cut may leave it without.
        for live in [[second, kept], [kept]] {
            for id in [first, second] where !live.contains(id) { disk.record(.giveUp(id)) }
            #expect(try GarbageCollector.run(store: store, liveManifests: live, cutoff: .max).objects == 2)
        }
        let gone = all.subtracting(try store.list())
        #expect(
            try GarbageCollector.run(
                store: store, liveManifests: [kept], cutoff: .max, durably: true
            ).objects == 0)
        disk.record(.objectsGone(gone))
        return CrashTrace(start: empty, events: disk.events, known: [first, second, kept])
    }

    @Test func `a collection may be undone by a crash but damages nothing, and a durable one ends that`()
        throws
    {
        let trace = try Self.lifeOfCollections()
        let outcome = trace.examine(after: trace.events.indices, thorough: true)
        #expect(outcome.violation == nil)
        print("crash states of collections: \(outcome.states) after \(trace.events.count) events")
        let whole = trace.events.indices.filter {
            if case .synchronizeAll = trace.events[$0] { true } else { false }
        }
        // One for the difference, one for the promise.
        #expect(whole.count == 2)
        for position in whole {
            let mutant = trace.without(position)
            #expect(
                mutant.examine(after: position..<mutant.events.count, thorough: false).violation != nil,
                "the synchronisation at event \(position) of \(trace.events.count)")
        }
    }

    @Test func `a store whose first opening was cut off keeps what is imported later`() throws {
        let opening = SimulatedFileSystem(Self.empty)
        _ = try ObjectStore(root: CrashTrace.root, fileSystem: opening)
        var changes: [SimulatedDisk.Change] = []
        for case .change(let change) in opening.events { changes.append(change) }
        // With all names and without each of them; then the same life on what is left.
        let names = changes.indices.filter { if case .write = changes[$0] { false } else { true } }
        for lost in [nil] + names.map(Optional.init) {
            var disk = Self.empty
            for (index, change) in changes.enumerated() where index != lost { disk.apply(change) }
            let trace = try Self.life(on: disk)
            let outcome = trace.examine(
                after: trace.events.count - 1..<trace.events.count, thorough: false)
            #expect(outcome.violation == nil, "without change \(lost ?? -1)")
        }
    }
}
