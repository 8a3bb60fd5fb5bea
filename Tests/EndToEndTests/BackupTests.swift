// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// Backups of a real daemon: made, cut off, damaged, thinned and put back.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct BackupTests {
    /// A daemon with one backup target, `disk`.
    private final class World {
        let target: String
        let daemon: RunningDaemon
        private(set) var isMounted = false

        /// - Parameter size: The size of a file system of the target's own, as `mount` writes it.
        init(size: String? = nil) throws {
            var template = Array("/tmp/ub.XXXXXX".utf8CString)
            guard let made = mkdtemp(&template) else {
                throw TestFailure("no temporary directory can be made")
            }
            target = String(cString: made)
            if let size {
                isMounted = World.run("mount -t tmpfs -o size=\(size),mode=700 tmpfs \(target)") == 0
            }
            daemon = try RunningDaemon(environment: World.environment(target))
        }

        deinit {
            if isMounted { _ = World.run("umount -l \(target)") }
            try? FileManager.default.removeItem(atPath: target)
        }

        static func environment(_ target: String) -> [String: String] {
            ["UNLEARND_BACKUP_TARGETS": "disk=\(target)"]
        }

        static func run(_ command: String) -> Int32 {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/bin/sh")
            process.arguments = ["-c", "PATH=$PATH:/usr/sbin:/sbin; " + command]
            process.standardError = FileHandle.nullDevice
            guard (try? process.run()) != nil else { return -1 }
            process.waitUntilExit()
            return process.terminationStatus
        }

        func start(failPoint: String? = nil) throws {
            var environment = World.environment(target)
            if let failPoint { environment["UNLEARND_FAILPOINT"] = failPoint }
            try daemon.start(environment: environment)
        }

        @discardableResult
        func ctl(_ arguments: String..., status: Int32 = 0) throws -> RunningDaemon.Output {
            let output = try daemon.ctl(arguments)
            #expect(output.status == status, "\(arguments): \(output.stdout)\(output.stderr)")
            return output
        }

        /// Imports a made-up model.
        func add(_ name: String, seed: UInt64) throws {
            let directory = "\(daemon.directory)/\(name)"
            try SyntheticCheckpoint(seed: seed, matrices: 2, side: 64).write(to: directory)
            try ctl("model", "import", name, directory)
        }

        func backup(_ more: String...) throws -> JSONValue {
            let output = try daemon.ctl(["store", "backup", "disk", "--json"] + more)
            #expect(output.status == 0, "\(output.stderr)")
            return output.status == 0 ? try output.json : .null
        }

        /// The object files below a directory that holds objects, by name.
        static func objects(_ root: String) throws -> [String: String] {
            let files = try directoryContents(root + "/objects").keys
            return Dictionary(
                uniqueKeysWithValues: files.map {
                    (($0 as NSString).lastPathComponent, "\(root)/objects/\($0)")
                })
        }

        /// Whether any file below a directory has the text as it is.
        static func isFound(_ text: String, in root: String) throws -> Bool {
            try directoryContents(root).values.contains { $0.range(of: Data(text.utf8)) != nil }
        }

        /// Changes a byte in the middle of a file.
        static func damage(_ path: String) throws {
            chmod(path, 0o600)
            var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            bytes[bytes.count - bytes.count / 4] ^= 1
            try bytes.write(to: URL(fileURLWithPath: path))
        }

        /// Runs `unlearnd restore` to the daemon's state directory.
        func restore(_ more: String...) throws -> (status: Int32, words: String) {
            let log = daemon.directory + "/restore.log"
            unlink(log)
            let process = try ChildProcess(
                Products.path("unlearnd"),
                ["restore", "--from", target, "--state-directory", daemon.state] + more,
                environment: ["PATH": "/usr/bin:/bin", "HOME": daemon.directory], output: log, errors: log)
            return (try process.wait(seconds: 60), try String(contentsOfFile: log, encoding: .utf8))
        }

        /// Whether a model's head is exported as its directory was.
        func expectExport(_ name: String) throws {
            let out = "\(daemon.directory)/\(name).\(UInt32.random(in: 0...UInt32.max))"
            try ctl("model", "export", name, out)
            #expect(try directoryContents(out) == directoryContents("\(daemon.directory)/\(name)"))
        }

        func expectSound() throws {
            try ctl("store", "verify")
            try ctl("audit", "verify")
        }
    }

    @Test func `a second backup copies only what is new, and what is damaged there is found`() throws {
        let world = try World()
        try world.add("a", seed: 1)
        let first = try world.backup()
        #expect(first["generation"] == 1 && first["versions"] == 1)
        #expect(first["copied"] == first["objects"] && first["copied"] != 0)
        let second = try world.backup()
        #expect(second["generation"] == 2 && second["copied"] == 0 && second["objects"] == first["objects"])
        try world.add("b", seed: 2)
        let before = try World.objects(world.target)
        let third = try world.backup()
        let added = try World.objects(world.target).keys.filter { before[$0] == nil }
        #expect(third["copied"]?.integerValue == Int64(added.count) && !added.isEmpty)

        func size(_ path: String) throws -> Int { try Data(contentsOf: URL(fileURLWithPath: path)).count }
        // A byte that only decoding can find, and a file that was cut short.
        let all = try World.objects(world.target)
        // The largest one is no manifest, which is always decoded.
        let victim = try #require(
            try all.filter { before[$0.key] == nil }.max {
                try size($0.value) < size($1.value)
            })
        try World.damage(victim.value)
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

    @Test func `an offline restore gives every byte, the jobs and the audit log back`() throws {
        let world = try World()
        for (name, seed) in [("a", UInt64(1)), ("b", 2)] { try world.add(name, seed: seed) }
        _ = try world.backup()
        try world.add("c", seed: 3)
        #expect(try world.daemon.stop() == 0)
        let refused = try world.restore()
        #expect(refused.status == 78 && refused.words.contains("is not empty"), "\(refused.words)")
        try FileManager.default.moveItem(atPath: world.daemon.state, toPath: world.daemon.directory + "/old")

        // Half a restore: an object of the backup is damaged.
        let victim = try #require(try World.objects(world.target).sorted { $0.key < $1.key }.first?.value)
        let whole = try Data(contentsOf: URL(fileURLWithPath: victim))
        try World.damage(victim)
        let half = try world.restore()
        #expect(half.status == 74, "\(half.words)")
        let process = try world.daemon.spawn(environment: World.environment(world.target))
        #expect(try process.wait() == 78)
        #expect(world.daemon.log.contains("holds half a restored backup"))
        try whole.write(to: URL(fileURLWithPath: victim))
        let done = try world.restore()
        #expect(done.status == 0, "\(done.words)")
        let left = try FileManager.default.contentsOfDirectory(atPath: world.daemon.state)
        #expect(!left.contains { $0.hasPrefix("restoring") }, "\(left)")

        try world.start()
        try world.expectSound()
        try world.expectExport("a")
        try world.expectExport("b")
        try world.ctl("model", "show", "c", status: 5)
        let jobs = try world.ctl("ps", "--all", "--json").json.arrayValue
        #expect(jobs?.first { $0["kind"] == "backup" }?["state"] == "lost")
        #expect(try world.ctl("audit", "log", "--json").stdout.contains("\"store.restored\""))
        // It is the same store, gone on from the newest generation.
        let next = try world.backup()
        #expect(next["generation"] == 2 && next["copied"] == 0)
        #expect(try world.daemon.stop() == 0)

        // The old state directory has gone another way since: its backup has no place here.
        try FileManager.default.removeItem(atPath: world.daemon.state)
        try FileManager.default.moveItem(atPath: world.daemon.directory + "/old", toPath: world.daemon.state)
        try world.start()
        let other = try world.ctl("store", "backup", "disk", status: 1)
        #expect(other.stderr.contains("another store"), "\(other.stderr)")
    }

    @Test(arguments: [nil, "inside-thinning"])
    func `what was purged does not come back, and the next backup takes it out of the earlier ones`(
        failPoint: String?
    ) throws {
        let world = try World()
        for (name, seed) in [("a", UInt64(1)), ("b", 2)] { try world.add(name, seed: seed) }
        let forget = world.daemon.directory + "/f.jsonl"
        try "{\"text\": \"the canary 5f2c9b71 sings\"}\n".write(
            toFile: forget, atomically: false, encoding: .utf8)
        try world.ctl(
            "submit", "task-vector", "--model", "a", "--finetuned", "b", "--forget", forget, "--no-evaluate",
            "--note", "canary 5f2c9b71 of Ann", "--wait")
        _ = try world.backup()
        let before = try World.objects(world.target)
        #expect(try World.isFound("5f2c9b71", in: world.target))
        let purged = try world.ctl("purge", "--job", "3", "--yes", "--json").json
        #expect(purged["backups"] == ["disk"])

        // Online: only what live versions need.
        let healed = try world.ctl("store", "restore", "disk", "--json").json
        #expect(healed["healed"] == [] && healed["healed_datasets"] == [] && healed["lost"] == [])
        #expect(try world.ctl("store", "status", "--json").json["garbage_objects"] == 0)
        #expect(try world.daemon.stop() == 0)

        // Offline, from the generation that still has it.
        let old = world.daemon.directory + "/old"
        func move(_ from: String, _ to: String) throws {
            try FileManager.default.moveItem(atPath: from, toPath: to)
        }
        func expectPurged() throws {
            let history = try world.ctl("model", "history", "a", "--json").json.arrayValue
            #expect(history?.map { $0["gone"] } == [true, false])
            #expect(try world.ctl("dataset", "list", "--json").json == [])
            try world.ctl("rollback", "a", "--to", "v1", status: 5)
            let again = try world.ctl("model", "import", "c", world.daemon.directory + "/a", status: 1)
            #expect(again.stderr.contains("must not come back"))
            try world.expectSound()
            #expect(try world.daemon.stop() == 0)
            #expect(try !World.isFound("5f2c9b71", in: world.daemon.state))
        }
        try move(world.daemon.state, old)
        let done = try world.restore("--purged-from", old)
        #expect(done.status == 0 && done.words.contains("a@v1 was purged since"), "\(done.words)")
        try world.start()
        try expectPurged()

        // The daemon that purged goes on; the next backup thins the first.
        try FileManager.default.removeItem(atPath: world.daemon.state)
        try move(old, world.daemon.state)
        try world.start(failPoint: failPoint)
        if failPoint != nil {
            _ = try world.daemon.ctl(["store", "backup", "disk", "--detach"])
            #expect(try world.daemon.process?.wait() == 128 + SIGKILL)
            try world.start()
            // The job waits in the queue of the next daemon.
            try world.daemon.eventually("the backup goes on", seconds: 60) {
                try world.daemon.ctl(["ps", "--all", "--json"]).json.arrayValue?.filter {
                    $0["kind"] == "backup" && $0["state"] == "succeeded"
                }.count == 2
            }
        } else {
            let thinning = try world.backup()
            #expect(thinning["purge"] == 1 && thinning["removed"] != 0)
        }
        #expect(try !World.isFound("5f2c9b71", in: world.target))
        let left = Set(try World.objects(world.target).keys)
        #expect(left.isSubset(of: try World.objects(world.daemon.state).keys) && left.count < before.count)
        let listed = try world.ctl("store", "backups", "disk", "--json").json.arrayValue?.first?[
            "generations"]
        #expect(listed?.arrayValue?.first?["thinned"] != .null)
        #expect(listed?.arrayValue?.last?["thinned"] == .null)
        let certificate = try StrictJSON.parse(try world.ctl("audit", "certificate", "3").stdout)
        #expect(certificate["certificate"]?["purges"]?.arrayValue?.first?["backups"] == [])
        #expect(try world.daemon.stop() == 0)
        try FileManager.default.removeItem(atPath: world.daemon.state)
        let first = try world.restore("--generation", "1")
        #expect(first.status == 0, "\(first.words)")
        try world.start()
        try expectPurged()
    }

    @Test func `a running store is healed from its backup`() throws {
        let world = try World()
        for (name, seed) in [("a", UInt64(1)), ("b", 2)] { try world.add(name, seed: seed) }
        let rows = world.daemon.directory + "/r.jsonl"
        try "{\"text\": \"kept\"}\n".write(toFile: rows, atomically: false, encoding: .utf8)
        try world.ctl(
            "submit", "task-vector", "--model", "a", "--finetuned", "b", "--scale", "0.5", "--forget", rows,
            "--no-evaluate", "--wait")
        _ = try world.backup()
        let objects = try World.objects(world.daemon.state).sorted { $0.key < $1.key }.map(\.value)
        #expect(unlink(objects[0]) == 0)
        try World.damage(objects[1])
        let lists = try directoryContents(world.daemon.state + "/datasets").keys
        #expect(unlink(world.daemon.state + "/datasets/" + (try #require(lists.first))) == 0)
        try world.ctl("store", "verify", status: 74)
        let plan = try world.ctl("store", "restore", "disk", "--dry-run", "--json").json
        #expect(plan["healed"]?.arrayValue?.count == 2 && plan["healed_datasets"]?.arrayValue?.count == 1)
        try world.ctl("store", "verify", status: 74)
        let done = try world.ctl("store", "restore", "disk", "--json").json
        // The verification has put away what is damaged: both are missing now.
        #expect(done["healed"] == plan["healed"] && done["damaged"] == 0 && done["lost"] == [])
        try world.expectSound()
        try world.ctl("rollback", "a", "--to", "v1")
        try world.expectExport("a")

        // What the backup has not whole either is named.
        let name = (objects[0] as NSString).lastPathComponent
        try World.damage(try #require(try World.objects(world.target)[name]))
        #expect(unlink(objects[0]) == 0)
        let lost = try world.ctl("store", "restore", "disk", status: 74)
        #expect(lost.stdout.contains("lost: \(name)"))
        let audit = try world.ctl("audit", "log", "--json").json.arrayValue?.filter {
            $0["action"] == "store.restore"
        }
        #expect(audit?.count == 3)
    }

    @Test(arguments: ["after-claim", "after-backup-draft", "after-result"])
    func `a backup that is cut off is made by the next daemon, and is whole`(failPoint: String) throws {
        let world = try World()
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
        let world = try World()
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
        let world = try World()
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
        let world = try World(size: "2m")
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
        let world = try World()
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
