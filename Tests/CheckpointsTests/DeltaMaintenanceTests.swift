// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Foundation
import Protocol
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// Collecting, purging, verifying and healing where versions are stored as differences.
struct DeltaMaintenanceTests {
    private struct Line {
        let directory: TemporaryDirectory
        let store: ObjectStore
        let old: CheckpointImporter.Result
        let new: CheckpointImporter.Result

        init() throws {
            directory = try TemporaryDirectory()
            store = try directory.store()
            (old, new) = try DeltaTests.pair(store)
            let report = try DeltaTests.optimize(store, old.manifestID, new.manifestID)
            #expect(report.deltas == 3)
        }

        func verifyOld() throws {
            try CheckpointReader(store: store, manifestID: old.manifestID).verifyAll()
        }
    }

    @Test func `a collection keeps what live versions are differences from, and its plan is what it does`()
        throws
    {
        let line = try Line()
        let store = line.store
        let live = [line.old.manifestID]
        // Of the newer version only its manifest can go.
        let plan = try GarbageCollector.plan(store: store, liveManifests: live, cutoff: .max)
        #expect(plan.objects == 1)
        #expect(try StoreStatus.compute(store: store, liveManifests: live).garbageObjects == 1)
        #expect(try GarbageCollector.run(store: store, liveManifests: live, cutoff: .max) == plan)
        try line.verifyOld()
        // In full, and then the bases go as well.
        let written = try store.detach(liveManifests: live, givesUpDamaged: false)
        #expect(written.objects == 3)
        #expect(try DeltaTests.deltas(store).isEmpty)
        #expect(try store.detach(liveManifests: live, givesUpDamaged: false).objects == 0)
        #expect(try GarbageCollector.run(store: store, liveManifests: live, cutoff: .max).objects == 3)
        try line.verifyOld()
        #expect(try StoreVerifier.run(store: store, manifestIDs: live, level: .full).isSound)
    }

    @Test func `differences and what they are from go together when nothing needs them`() throws {
        let line = try Line()
        let store = line.store
        #expect(try store.detach(liveManifests: [line.new.manifestID], givesUpDamaged: true).objects == 0)
        let plan = try GarbageCollector.plan(store: store, liveManifests: [], cutoff: .max)
        #expect(plan.objects == (try store.list()).count)
        #expect(try GarbageCollector.run(store: store, liveManifests: [], cutoff: .max) == plan)
        #expect(try store.list().isEmpty)
    }

    @Test func `what a writer may have begun to use keeps what it is a difference from`() async throws {
        let line = try Line()
        let store = line.store
        let delta = DeltaTests.chunks(line.old)[0]
        try await Task.sleep(for: .milliseconds(20))
        let touched = try #require(
            try FileManager.default.attributesOfItem(atPath: store.objectPath(delta))[.modificationDate]
                as? Date)
        try FileManager.default.setAttributes(
            [.modificationDate: touched.addingTimeInterval(1000)], ofItemAtPath: store.objectPath(delta))
        let cutoff = Int64((touched.timeIntervalSince1970 + 500) * 1e9)
        _ = try GarbageCollector.run(store: store, liveManifests: [], cutoff: cutoff)
        #expect(Set(try store.list()) == [delta, DeltaTests.chunks(line.new)[0]])
        _ = try store.get(delta)
    }

    @Test func `storing the same bytes again writes a difference in full`() throws {
        let line = try Line()
        let deltas = try DeltaTests.deltas(line.store)
        let again = try DeltaTests.pair(line.store).old
        #expect(again.newObjects == 3 && again.manifestID == line.old.manifestID)
        #expect(try DeltaTests.deltas(line.store).isEmpty)
        for id in deltas { _ = try line.store.get(id) }
    }

    @Test(arguments: [false, true])
    func `damage of a base names all versions that it hits, and importing either version heals`(byOld: Bool)
        throws
    {
        let line = try Line()
        let store = line.store
        let manifests = [line.old.manifestID, line.new.manifestID]
        let (delta, base) = (DeltaTests.chunks(line.old)[1], DeltaTests.chunks(line.new)[1])
        try damage(store.objectPath(base)) { $0[$0.count / 2] ^= 4 }
        #expect(failureCode { _ = try store.get(delta) } == .corrupt)
        #expect(
            try StoreVerifier.run(store: store, manifestIDs: manifests, level: .stored).corrupt.map(\.id) == [
                base
            ])
        let report = try StoreVerifier.run(
            store: store, manifestIDs: manifests, level: .full, quarantine: true)
        let found = Dictionary(uniqueKeysWithValues: report.corrupt.map { ($0.id, $0.manifests) })
        #expect(found[base] == manifests.sorted())
        #expect(found[delta] == [line.old.manifestID])
        #expect(found.count == 2)
        // The difference is not to blame and stays; what is missing now is its base.
        #expect(try FileManager.default.contentsOfDirectory(atPath: store.root + "/quarantine").count == 1)
        for level in StoreVerifier.Level.allCases {
            let missing = try StoreVerifier.run(store: store, manifestIDs: manifests, level: level)
            #expect(
                missing.missing.map(\.id) == [base] && missing.missing.first?.manifests == manifests.sorted())
            #expect(missing.corrupt.map(\.id) == [delta], "\(level)")
        }
        if byOld {
            #expect(try store.take(Self.contents(line.old, DeltaTests.self)).newObjects == 3)
            try line.verifyOld()
        } else {
            _ = try DeltaTests.pair(store).new
            #expect(try StoreVerifier.run(store: store, manifestIDs: manifests, level: .full).isSound)
            try line.verifyOld()
        }
    }

    /// The files that `DeltaTests.pair` makes its older version of.
    private static func contents(_: CheckpointImporter.Result, _: DeltaTests.Type) -> [(String, [UInt8])] {
        var random = TestRandom(1)
        let tensors = (0..<3).map { TestTensor("t\($0)", .bf16, [200_000], &random) }
        return [("m.safetensors", TestTensor.file(tensors)), config]
    }

    @Test func `a damaged difference is moved aside, and only its own version is hit`() throws {
        let line = try Line()
        let store = line.store
        let manifests = [line.old.manifestID, line.new.manifestID]
        let delta = DeltaTests.chunks(line.old)[0]
        try damage(store.objectPath(delta)) { $0[$0.count - 1] ^= 1 }
        let report = try StoreVerifier.run(
            store: store, manifestIDs: manifests, level: .full, quarantine: true)
        #expect(report.corrupt.map(\.id) == [delta])
        #expect(report.corrupt.first?.manifests == [line.old.manifestID])
        try CheckpointReader(store: store, manifestID: line.new.manifestID).verifyAll()
        // A purge of the newer version leaves nothing that tells of it, here neither.
        #expect(try store.sweepQuarantine(liveManifests: manifests) == 0)
        #expect(try store.sweepQuarantine(liveManifests: [line.old.manifestID]) == 1)
        _ = try DeltaTests.pair(store)
        #expect(try StoreVerifier.run(store: store, manifestIDs: manifests, level: .full).isSound)
    }

    @Test func `a damaged chunk is told and the others are done`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let (old, new) = try DeltaTests.pair(store)
        let broken = [DeltaTests.chunks(old)[0], DeltaTests.chunks(new)[1]]
        for id in broken { try damage(store.objectPath(id)) { $0[$0.count - 1] ^= 1 } }
        let report = try DeltaTests.optimize(store, old.manifestID, new.manifestID)
        #expect(report.deltas == 1 && report.objects == 3)
        #expect(report.damaged.map(\.id) == broken)
        #expect(report.damaged.allSatisfy { $0.manifests == [old.manifestID] })
    }

    @Test func `cancelling leaves what is done and the rest for the next run`() throws {
        struct Stop: Error {}
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let (old, new) = try DeltaTests.pair(store)
        let pairs = [ManifestPair(parent: old.manifestID, child: new.manifestID)]
        #expect(throws: Stop.self) {
            try StoreOptimizer.run(store: store, pairs: pairs, inFull: []) { done, _ in
                if done == 2 { throw Stop() }
            }
        }
        #expect(try DeltaTests.deltas(store).count == 2)
        #expect(try FileManager.default.contentsOfDirectory(atPath: store.root + "/staging").isEmpty)
        let rest = try DeltaTests.optimize(store, old.manifestID, new.manifestID)
        #expect(rest.deltas == 1 && rest.already == 2)
        try CheckpointReader(store: store, manifestID: old.manifestID).verifyAll()
    }

    @Test func `what cannot be read any more is given up with its base only when that is asked for`() throws {
        let line = try Line()
        let store = line.store
        let (delta, base) = (DeltaTests.chunks(line.old)[2], DeltaTests.chunks(line.new)[2])
        try damage(store.objectPath(base)) { $0[$0.count / 2] ^= 4 }
        let live = [line.old.manifestID]
        #expect(try store.detach(liveManifests: live, givesUpDamaged: false).objects == 2)
        #expect(try store.stat(delta)?.base == base)
        #expect(try store.detach(liveManifests: live, givesUpDamaged: true).objects == 0)
        #expect(try store.stat(delta) == nil)
    }

    @Test(arguments: [ENOSPC, EIO])
    func `a failure of any operation leaves both versions whole`(number: Int32) throws {
        let directory = try TemporaryDirectory()
        let pristine = try directory.store()
        let (old, new) = try DeltaTests.pair(pristine)
        let expected: CheckpointError.Code = number == EIO ? .ioFailure : .storageFull
        for isDetaching in [false, true] {
            if isDetaching { _ = try DeltaTests.optimize(pristine, old.manifestID, new.manifestID) }
            var step = 1
            while true {
                let root = directory.path + "/copy"
                try FileManager.default.copyItem(atPath: pristine.root, toPath: root)
                defer { try? FileManager.default.removeItem(atPath: root) }
                let failing = FailingFileSystem(failAt: step, number)
                var message = ""
                let code = failureCode {
                    do {
                        let store = try ObjectStore(root: root, fileSystem: failing)
                        if isDetaching {
                            _ = try store.detach(liveManifests: [old.manifestID], givesUpDamaged: false)
                        } else {
                            _ = try DeltaTests.optimize(store, old.manifestID, new.manifestID)
                        }
                    } catch let error as CheckpointError {
                        message = error.message
                        throw error
                    }
                }
                let store = try ObjectStore(root: root)
                let manifests = [old.manifestID, new.manifestID]
                let report = try StoreVerifier.run(store: store, manifestIDs: manifests, level: .full)
                #expect(report.isSound, "operation \(step)")
                guard failing.failed else {
                    #expect(code == nil)
                    break
                }
                #expect(code == expected, "operation \(step)")
                if code == .storageFull, isDetaching, message.contains("stored as differences") {
                    #expect(message.contains("must first be written in full: about"), "\(message)")
                }
                #expect(try FileManager.default.contentsOfDirectory(atPath: root + "/staging").isEmpty)
                step += 1
            }
            #expect(step > 15)
        }
    }

    @Test func `readers never notice how an object is stored`() async throws {
        let line = try Line()
        let store = line.store
        let live = [line.old.manifestID, line.new.manifestID]
        try await withThrowingTaskGroup(of: Void.self) { group in
            for manifest in live {
                group.addTask {
                    for _ in 0..<40 {
                        let reader = try CheckpointReader(
                            store: try line.directory.store(), manifestID: manifest)
                        try reader.verifyAll()
                    }
                }
            }
            group.addTask {
                for _ in 0..<12 {
                    _ = try StoreOptimizer.run(store: store, pairs: [], inFull: [line.old.manifestID])
                    _ = try DeltaTests.optimize(store, line.old.manifestID, line.new.manifestID)
                    _ = try GarbageCollector.run(store: store, liveManifests: live, cutoff: .max)
                }
            }
            try await group.waitForAll()
        }
    }

    @Test func `two optimizations of a store do not run at once`() throws {
        let line = try Line()
        var inner: CheckpointError.Code?
        _ = try StoreOptimizer.run(
            store: line.store, pairs: [], inFull: [],
            progress: { _, _ in
                inner = failureCode { _ = try StoreOptimizer.run(store: line.store, pairs: [], inFull: []) }
            })
        #expect(inner == .mismatch)
    }
}
