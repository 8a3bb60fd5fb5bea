// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// Backups of a real daemon: made, cut off, damaged and refused.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct BackupTests {
    @Test func `a second backup copies only what is new, and what is damaged there is found`() throws {
        let world = try BackupWorld()
        try world.add("a", seed: 1)
        let first = try world.backup()
        #expect(first["generation"] == 1 && first["versions"] == 1)
        #expect(first["copied"] == first["objects"] && first["copied"] != 0)
        let second = try world.backup()
        #expect(second["generation"] == 2 && second["copied"] == 0 && second["objects"] == first["objects"])
        try world.add("b", seed: 2)
        let before = try BackupWorld.objects(world.target)
        let third = try world.backup()
        let added = try BackupWorld.objects(world.target).keys.filter { before[$0] == nil }
        #expect(third["copied"]?.integerValue == Int64(added.count) && !added.isEmpty)

        func size(_ path: String) throws -> Int { try Data(contentsOf: URL(fileURLWithPath: path)).count }
        // A byte that only decoding can find, and a file that was cut short.
        let all = try BackupWorld.objects(world.target)
        // The largest one is no manifest, which is always decoded.
        let victim = try #require(
            try all.filter { before[$0.key] == nil }.max {
                try size($0.value) < size($1.value)
            })
        try BackupWorld.damage(victim.value)
        #expect(try world.backup()["repaired"] == 0)
        #expect(try world.backup("--full")["repaired"] == 1)
        let short = try #require(before.first)
        chmod(short.value, 0o600)
        #expect(truncate(short.value, 100) == 0)
        #expect(try world.backup()["repaired"] == 1)
        #expect(try world.backup("--full")["repaired"] == 0)

        let listed = try world.ctl("store", "backups", "--json").json.arrayValue?.first
        #expect(listed?["generations"]?.arrayValue?.map { $0["generation"] } == [1, 2, 3, 4, 5, 6, 7])
        #expect(try world.ctl("audit", "log", "--json").stdout.contains("\"store.backup\""))
        try world.ctl("store", "backup", "tape", status: 5)
        #expect(chmod(world.target, 0o770) == 0)
        let refused = try world.ctl("store", "backup", "disk", status: 1)
        #expect(refused.stderr.contains("others can write"))
        try world.ctl("store", "backups", status: 74)
    }

    @Test(arguments: ["after-claim", "after-backup-draft", "after-result"])
    func `a backup that is cut off is made by the next daemon, and is whole`(failPoint: String) throws {
        let world = try BackupWorld()
        try world.add("a", seed: 1)
        #expect(try world.daemon.stop() == 0)
        try world.start(failPoint: failPoint)
        _ = try world.daemon.ctl(["store", "backup", "disk", "--detach"])
        #expect(try world.daemon.process?.wait() == 128 + SIGKILL)
        try world.start()
        try world.ctl("wait", "2")
        let listed = try world.ctl("store", "backups", "--json").json.arrayValue?.first?["generations"]
        // Of a backup whose end was not recorded both stay.
        #expect(listed?.arrayValue?.count == (failPoint == "after-result" ? 2 : 1))
        let checked = try world.backup("--full")
        #expect(checked["repaired"] == 0 && checked["copied"] == 0)
    }

    @Test func `a backup killed at any moment leaves the earlier ones whole`() throws {
        let world = try BackupWorld()
        let directory = world.daemon.directory + "/a"
        try SyntheticCheckpoint(seed: 1, matrices: 24, side: 512).write(to: directory)
        try world.ctl("model", "import", "a", directory)
        for round in 1...4 {
            _ = try world.daemon.ctl(["store", "backup", "disk", "--detach"])
            usleep(UInt32(round) * 40_000)
            try world.daemon.kill()
            try world.start()
            try world.ctl("wait", "\(round + 1)")
        }
        let checked = try world.backup("--full")
        #expect(checked["repaired"] == 0 && checked["copied"] == 0)
        #expect(try world.daemon.stop() == 0)
        try FileManager.default.removeItem(atPath: world.daemon.state)
        let done = try world.restore("--generation", "1")
        #expect(done.status == 0, "\(done.words)")
        try world.start()
        try world.expectSound()
        try world.expectExport("a")
    }

    @Test func `while a backup runs nothing is purged, and another one waits`() throws {
        let world = try BackupWorld()
        for name in ["a", "b"] {
            let directory = "\(world.daemon.directory)/\(name)"
            try SyntheticCheckpoint(seed: name == "a" ? 1 : 2, matrices: 24, side: 512).write(to: directory)
            try world.ctl("model", "import", name, directory)
        }
        // A second version of a, so that the first is not the head.
        try world.ctl("model", "import", "a", world.daemon.directory + "/b")
        // A worker that is stopped before it is done.
        var worker: pid_t?
        for _ in 0..<20 where worker == nil {
            let job = try world.ctl("store", "backup", "disk", "--full", "--detach", "--quiet").stdout
                .trimmingCharacters(in: .whitespacesAndNewlines)
            let end = ContinuousClock.now + .seconds(2)
            while worker == nil, ContinuousClock.now < end { worker = world.daemon.children.first }
            if let found = worker {
                Glibc.kill(found, SIGSTOP)
                if try world.ctl("show", job, "--json").json["state"] != "running" {
                    Glibc.kill(found, SIGCONT)
                    worker = nil
                    try world.ctl("wait", job)
                }
            }
        }
        let stopped = try #require(worker)
        let refused = try world.ctl("model", "purge", "a@v1", "--yes", status: 6)
        #expect(refused.stderr.contains("is running and reads what is to be purged"), "\(refused.stderr)")
        let next =
            try world.ctl("store", "backup", "disk", "--detach", "--json").json["id"]?.integerValue ?? 0
        try world.daemon.eventually("the second one says why it waits") {
            try world.ctl("show", "\(next)", "--json").json["reason"] == "backup-busy"
        }
        Glibc.kill(stopped, SIGCONT)
        try world.ctl("wait", "\(next)")
        let purged = try world.ctl("model", "purge", "a@v1", "--yes")
        #expect(purged.stdout.contains("may be in backups: target disk"), "\(purged.stdout)")
        let thinned = try world.backup()
        #expect(thinned["removed"] != 0 && thinned["versions"] == 2)
    }

    @Test func `a full disk fails the backup and leaves the earlier ones whole`() throws {
        let world = try BackupWorld(size: "2m")
        guard world.isMounted else {
            print("skipped: a file system of its own needs root and tmpfs")
            return
        }
        try world.add("a", seed: 1)
        _ = try world.backup()
        let directory = world.daemon.directory + "/large"
        try SyntheticCheckpoint(seed: 2, matrices: 24, side: 512).write(to: directory)
        try world.ctl("model", "import", "large", directory)
        let failed = try world.ctl("store", "backup", "disk", status: 1)
        #expect(failed.stderr.contains("no space left"), "\(failed.stderr)")
        let listed = try world.ctl("store", "backups", "--json").json.arrayValue?.first?["generations"]
        #expect(listed?.arrayValue?.map { $0["generation"] } == [1])
        #expect(try world.daemon.stop() == 0)
        try FileManager.default.removeItem(atPath: world.daemon.state)
        let done = try world.restore()
        #expect(done.status == 0, "\(done.words)")
        try world.start()
        try world.expectSound()
        try world.expectExport("a")
    }

    @Test func `a target is refused that lies in the state directory or has something else in it`() throws {
        let world = try BackupWorld()
        try "mine".write(toFile: world.target + "/mine", atomically: false, encoding: .utf8)
        let refused = try world.ctl("store", "backup", "disk", status: 1)
        #expect(refused.stderr.contains("neither empty nor a backup"), "\(refused.stderr)")
        #expect(try directoryContents(world.target).keys.sorted() == ["mine"])
        #expect(try world.daemon.stop() == 0)
        for setting in ["disk=\(world.daemon.state)/b", "disk=b", "Disk=/b", "/b", "a=/b,c=/b/c"] {
            let process = try world.daemon.spawn(environment: ["UNLEARND_BACKUP_TARGETS": setting])
            #expect(try process.wait() == 78, "\(setting)")
        }
        #expect(world.daemon.log.contains("lie in each other"))
    }
}
