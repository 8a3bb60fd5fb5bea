// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Foundation
import Protocol
import Testing

/// Backups on a disk whose power is cut, and on one that fails.
struct BackupCrashTests {
    /// A store with two versions that share a chunk, and a text.
    private struct Source {
        let store: ObjectStore
        let versions: [Digest]
        let dataset: Digest

        init() throws {
            let disk = SimulatedFileSystem(CrashTests.empty)
            let store = try ObjectStore(root: CrashTrace.root, fileSystem: disk)
            self.store = store
            var random = TestRandom(17)
            let shared = TestTensor("shared", .bf16, [140_000], &random)
            versions = try (0..<2).map { _ in
                let file = TestTensor.file([shared, TestTensor("own", .f32, [2000], &random)])
                let config = Array(#"{"model_type": "made-up"}"#.utf8)
                return try CheckpointImporter.import(
                    files: [("m.safetensors", file), ("config.json", config)].map {
                        ImportFile(path: $0.0, descriptor: disk.source($0.1))
                    }, store: store, threads: 1
                ).manifestID
            }
            dataset = try store.putDataset(Array("{\"text\":\"kept\"}\n".utf8))
        }
    }

    /// Writes what stands for a copy of the database.
    private static func write(_ text: String, _ path: String, _ fileSystem: any FileSystem) throws {
        let descriptor = try fileSystem.open(path, .create)
        defer { try? fileSystem.close(descriptor) }
        try Array(text.utf8).withUnsafeBytes { try fileSystem.write(descriptor, $0) }
    }

    /// Makes one generation as the daemon and its worker do.
    private static func add(
        _ versions: [Digest], of source: Source, to directory: BackupDirectory, _ fileSystem: any FileSystem
    ) throws -> Int {
        let sequence = (try directory.generations().last ?? 0) + 1
        try directory.begin()
        let file = directory.newPath + "/database"
        try write("database \(sequence)", file, fileSystem)
        try directory.writeDraft(
            BackupManifest(
                sequence: sequence, time: Timestamp(milliseconds: 0), database: directory.adoptDatabase(file),
                audit: BackupManifest.AuditHead(row: 1, hash: ContentHash.of([1])), purge: 0,
                manifests: versions, datasets: [source.dataset]))
        var manifest = try directory.draft()
        manifest.objects = try ObjectCopier(
            from: source.store, to: directory.store, verifies: false, threads: 1
        ).copy(manifests: manifest.manifests, datasets: manifest.datasets) { _, _ in }.objects
        try directory.publish(manifest)
        return sequence
    }

    /// Two backups, and what was purged between them taken out of the first.
    private static func life(
        _ source: Source, _ root: String, _ fileSystem: any FileSystem, _ record: (Promise) -> Void
    ) throws {
        let directory = try BackupDirectory(root: root, making: true, fileSystem: fileSystem)
        let first = try add(source.versions, of: source, to: directory, fileSystem)
        record(.generation(first))
        let before = Set(try directory.store.list())
        let old = try directory.manifest(first)
        let left = Array(source.versions.suffix(1))
        let objects = try directory.objects(of: old, manifests: left, datasets: [source.dataset])
        let file = directory.database(of: old) + ".new"
        try write("database 1, thinned", file, fileSystem)
        try directory.rewrite(old, database: file) { new in
            (new.manifests, new.objects, new.purge) = (left, objects, 1)
            new.thinned = Timestamp(milliseconds: 1)
        }
        record(.generation(try add(left, of: source, to: directory, fileSystem)))
        let removed = try directory.removeUnneeded()
        let gone = before.subtracting(try directory.store.list())
        #expect(removed.objects == gone.count && gone.contains(source.versions[0]))
        record(.objectsGone(gone))
    }

    @Test func `no crash loses a generation that was published or brings back what was taken out`() throws {
        let source = try Source()
        let disk = SimulatedFileSystem(CrashTests.empty)
        try Self.life(source, CrashTrace.root, disk) { disk.record($0) }
        let trace = CrashTrace(start: CrashTests.empty, events: disk.events, known: [], isBackup: true)
        let outcome = trace.examine(after: trace.events.indices, thorough: true)
        #expect(outcome.violation == nil)
        print("crash states of a backup: \(outcome.states) after \(trace.events.count) events")
        #expect(outcome.states >= 5_000)
    }

    @Test(arguments: [ENOSPC, EIO])
    func `a failure of any operation leaves every published generation whole`(number: Int32) throws {
        let source = try Source()
        let temporary = try TemporaryDirectory()
        let expected: CheckpointError.Code = number == EIO ? .ioFailure : .storageFull
        var step = 1
        while true {
            let failing = FailingFileSystem(failAt: step, number)
            let root = "\(temporary.path)/\(step)"
            try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
            var promises = Promises()
            var code: CheckpointError.Code?
            do {
                try Self.life(source, root, failing) { promises.take($0) }
            } catch let error as CheckpointError {
                code = error.code
            } catch let error as FileSystemError {
                // Of the file that stands for the database, which SQLite writes in truth.
                code = CheckpointError.Code(error)
            }
            guard failing.failed else {
                #expect(code == nil)
                break
            }
            #expect(code == expected, "operation \(step)")
            let violation = promises.backupViolation(PosixFileSystem(), root: root)
            #expect(violation == nil, "operation \(step)")
            // Work goes on.
            let directory = try BackupDirectory(root: root, making: true)
            _ = try Self.add(source.versions, of: source, to: directory, PosixFileSystem())
            try FileManager.default.removeItem(atPath: root)
            step += 1
        }
        #expect(step > 80)
    }
}

extension CheckpointError.Code {
    fileprivate init(_ failure: FileSystemError) { self = failure.isSpace ? .storageFull : .ioFailure }
}
