// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Foundation
import Protocol
import Testing

#if canImport(Glibc)
    import Glibc
#endif

struct MaintenanceTests {
    static let future = Int64.max

    static func contents(_ seed: UInt64) -> [(String, [UInt8])] {
        var random = TestRandom(seed)
        let tensors = (0..<3).map { TestTensor("t\($0)", .bf16, [200_000], &random) }
        return [("m.safetensors", TestTensor.file(tensors)), config]
    }

    @Test func `garbage is what no version and no dataset needs`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let kept = try store.take(Self.contents(1))
        let dropped = try store.take(Self.contents(2))
        let dataset = try store.putDataset(Array("{\"text\":\"x\"}\n".utf8))
        let before = try store.list()
        let live = [kept.manifestID]
        let plan = try GarbageCollector.plan(store: store, liveManifests: live, cutoff: Self.future)
        // Three chunks, and the manifest; header and config are shared.
        #expect(plan.objects == 4)
        #expect(plan.bytes == dropped.storedBytes)
        let status = try StoreStatus.compute(store: store, liveManifests: live)
        #expect(status.garbageObjects == plan.objects && status.garbageBytes == plan.bytes)
        #expect(status.rawBytes == kept.manifest.size && status.versions == 1 && status.objects == 5)
        #expect(status.storedBytes < status.rawBytes)
        #expect(try GarbageCollector.plan(store: store, liveManifests: live, cutoff: 0).objects == 0)
        #expect(try GarbageCollector.run(store: store, liveManifests: live, cutoff: 0).objects == 0)
        #expect(try GarbageCollector.run(store: store, liveManifests: live, cutoff: Self.future) == plan)
        #expect(try store.list().count == before.count - 4)
        try CheckpointReader(store: store, manifestID: kept.manifestID).verifyAll()
        #expect(try store.readDataset(dataset) == Array("{\"text\":\"x\"}\n".utf8))
        #expect(try store.removeDataset(dataset))
        #expect(try GarbageCollector.run(store: store, liveManifests: live, cutoff: Self.future).objects == 1)
    }

    @Test(arguments: [false, true])
    func `what a collection waits for does not grow with what it removes`(durably: Bool) throws {
        let disk = SimulatedFileSystem(CrashTests.empty)
        let store = try ObjectStore(root: CrashTrace.root, fileSystem: disk)
        let transaction = try store.begin()
        for number in 0..<300 { _ = try transaction.put(Array("object \(number)".utf8), kind: .blob) }
        try transaction.sync()
        transaction.close()
        let before = disk.events.count
        let freed = try GarbageCollector.run(
            store: store, liveManifests: [], cutoff: Self.future, durably: durably)
        #expect(freed.objects == 300)
        let waits = disk.events[before...].count {
            switch $0 {
            case .synchronize, .synchronizeAll: true
            default: false
            }
        }
        #expect(waits == (durably ? 1 : 0))
    }

    @Test func `raw bytes count a chunk of two versions once`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let first = try store.take(Self.contents(1))
        let second = try store.take(Self.contents(1) + [("notes.txt", [1, 2, 3])])
        let status = try StoreStatus.compute(
            store: store, liveManifests: [first.manifestID, second.manifestID])
        #expect(status.rawBytes == first.manifest.size + 3)
        #expect(status.garbageObjects == 0 && status.versions == 2)
    }

    @Test func `collecting stops at a live manifest that cannot be read`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let result = try store.take(Self.contents(1))
        try damage(store.objectPath(result.manifestID)) { $0[$0.count - 1] ^= 1 }
        let before = try store.list()
        #expect(
            failureCode {
                _ = try GarbageCollector.run(
                    store: store, liveManifests: [result.manifestID], cutoff: Self.future)
            } == .corrupt)
        #expect(try store.list() == before)
    }

    @Test func `a collector beside writers never takes what they use`() async throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        // Old garbage that the writers are about to use again.
        for seed in 0..<6 { _ = try store.take(Self.contents(UInt64(seed))) }
        try await Task.sleep(for: .milliseconds(20))
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        // File times are those of the kernel's last tick.
        let cutoff = Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec) - 10_000_000
        try await withThrowingTaskGroup(of: Void.self) { group in
            for seed in 0..<4 {
                group.addTask {
                    let other = try directory.store()
                    let result = try other.take(Self.contents(UInt64(seed)))
                    try CheckpointReader(store: other, manifestID: result.manifestID).verifyAll()
                }
            }
            group.addTask {
                for _ in 0..<30 {
                    _ = try GarbageCollector.run(store: store, liveManifests: [], cutoff: cutoff)
                }
            }
            try await group.waitForAll()
        }
        _ = try GarbageCollector.run(store: store, liveManifests: [], cutoff: cutoff)
        for seed in 0..<4 {
            let again = try store.take(Self.contents(UInt64(seed)))
            #expect(again.newObjects == 0, "seed \(seed)")
        }
    }

    @Test func `verification names damage and who it hits, and a new import heals it`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let first = try store.take(Self.contents(1))
        let second = try store.take(Self.contents(2))
        let manifests = [first.manifestID, second.manifestID]
        for level in StoreVerifier.Level.allCases {
            let report = try StoreVerifier.run(store: store, manifestIDs: manifests, level: level)
            #expect(report.isSound && report.objects == 10, "\(level)")
        }
        let weights = first.manifest.files[1].regions
        try damage(store.objectPath(weights[1].id)) { $0[$0.count / 2] ^= 4 }
        #expect(try store.remove(weights[2].id))
        #expect(try StoreVerifier.run(store: store, manifestIDs: manifests, level: .quick).corrupt.isEmpty)
        #expect(
            try StoreVerifier.run(store: store, manifestIDs: manifests, level: .stored).corrupt.count == 1)
        let report = try StoreVerifier.run(
            store: store, manifestIDs: manifests, level: .full, quarantine: true)
        #expect(report.corrupt.map(\.id) == [weights[1].id])
        #expect(report.corrupt.first?.manifests == [first.manifestID])
        #expect(report.missing.map(\.id) == [weights[2].id])
        #expect(report.missing.first?.manifests == [first.manifestID])
        #expect(
            failureCode {
                try CheckpointReader(store: store, manifestID: first.manifestID).verifyAll()
            } == .missing)
        #expect(try FileManager.default.contentsOfDirectory(atPath: store.root + "/quarantine").count == 1)
        #expect(try store.take(Self.contents(1)).newObjects == 2)
        #expect(try StoreVerifier.run(store: store, manifestIDs: manifests, level: .full).isSound)
    }

    @Test func `parts with a time limit together look at every object once`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        let manifests = try (0..<20).map { try store.take(Self.contents(UInt64($0))).manifestID }
        let all = try store.list()
        #expect(all.count > 80)
        var extent = StoreVerifier.Extent(seconds: 0)
        var looked = 0
        var parts = 0
        repeat {
            let report = try StoreVerifier.run(
                store: store, manifestIDs: manifests, level: .full, extent: extent)
            #expect(report.isSound && report.total == all.count)
            looked += report.objects
            parts += 1
            #expect(report.position == looked)
            extent.after = report.stoppedAt
        } while extent.after != nil && parts < 100
        #expect(looked == all.count && parts == (all.count + 31) / 32)
        // The share of them that a sample has.
        let sample = try StoreVerifier.run(
            store: store, manifestIDs: manifests, level: .quick, extent: StoreVerifier.Extent(share: 0.5))
        #expect(sample.objects == (all.count + 1) / 2 && sample.stoppedAt == nil)
        // Nothing is behind the last.
        extent.after = all.last
        #expect(
            try StoreVerifier.run(store: store, manifestIDs: manifests, level: .full, extent: extent).objects
                == 0)
    }

    @Test func `datasets are kept under the hash of their text`() throws {
        let directory = try TemporaryDirectory()
        let store = try directory.store()
        var random = TestRandom(3)
        for text in [[], Array("{\"text\":\"a\"}\n".utf8), random.bytes(17 << 20)] {
            let id = try store.putDataset(text)
            #expect(id == ContentHash.of(text))
            #expect(try store.putDataset(text) == id)
            #expect(try store.readDataset(id) == text)
        }
        let ids = try store.listDatasets()
        #expect(ids.count == 3)
        let one = ids[0]
        try damage("\(store.root)/datasets/\(one.hex.prefix(2))/\(one.hex)") { $0[$0.count - 1] ^= 1 }
        #expect(failureCode { _ = try store.readDataset(one) } == .corrupt)
        let report = try StoreVerifier.run(store: store, manifestIDs: [], level: .full)
        #expect(report.corruptDatasets.keys.map { $0 } == [one])
        #expect(try store.removeDataset(one))
        #expect(try !store.removeDataset(one))
        #expect(failureCode { _ = try store.readDataset(one) } == .missing)
    }

    @Test(arguments: [ENOSPC, EDQUOT, EIO])
    func `a failure of any operation leaves a sound store and a typed error`(number: Int32) throws {
        let directory = try TemporaryDirectory()
        let contents = Self.contents(7)
        let expected: CheckpointError.Code = number == EIO ? .ioFailure : .storageFull
        var step = 1
        while true {
            let failing = FailingFileSystem(failAt: step, number)
            let root = directory.path + "/store-\(number)-\(step)"
            let code = failureCode {
                let store = try ObjectStore(root: root, fileSystem: failing)
                _ = try store.take(contents, threads: 1)
                _ = try store.putDataset([1, 2, 3])
            }
            guard failing.failed else {
                #expect(code == nil)
                break
            }
            #expect(code == expected, "operation \(step)")
            // Opened again without faults: nothing in it is damaged, nothing is left over, and work goes on.
            let store = try ObjectStore(root: root)
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: root + "/staging").isEmpty,
                "operation \(step)")
            #expect(
                try StoreVerifier.run(store: store, manifestIDs: [], level: .full).isSound,
                "operation \(step)")
            let result = try store.take(contents)
            try CheckpointReader(store: store, manifestID: result.manifestID).verifyAll()
            try FileManager.default.removeItem(atPath: root)
            step += 1
        }
        #expect(step > 50)
    }

    #if canImport(Glibc)
        @Test func `a full disk is told as such and garbage can still be collected`() throws {
            let directory = try TemporaryDirectory()
            guard getuid() == 0, mount("none", directory.path, "tmpfs", 0, "size=4m") == 0 else {
                print("skipped: mounting a small tmpfs needs root")
                return
            }
            defer { umount2(directory.path, Int32(MNT_DETACH)) }
            let store = try directory.store()
            let source = try TemporaryDirectory()
            var random = TestRandom(13)
            let tensors = (0..<20).map { TestTensor("t\($0)", .f32, [100_000], &random) }
            let opened = try OpenedFiles(source, [("m.safetensors", TestTensor.file(tensors)), config])
            #expect(
                failureCode { _ = try CheckpointImporter.import(files: opened.files, store: store) }
                    == .storageFull)
            #expect(try FileManager.default.contentsOfDirectory(atPath: store.root + "/staging").isEmpty)
            #expect(try StoreVerifier.run(store: store, manifestIDs: [], level: .full).isSound)
            #expect(
                try GarbageCollector.run(store: store, liveManifests: [], cutoff: Self.future).objects > 0)
            #expect(try store.list().isEmpty)
        }
    #endif
}
