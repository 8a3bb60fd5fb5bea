// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// What comes back from the backups of a real daemon, and what never does.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct RestoreTests {
    @Test func `an offline restore gives every byte, the jobs and the audit log back`() throws {
        let world = try BackupWorld()
        for (name, seed) in [("a", UInt64(1)), ("b", 2)] { try world.add(name, seed: seed) }
        _ = try world.backup()
        try world.add("c", seed: 3)
        #expect(try world.daemon.stop() == 0)
        let refused = try world.restore()
        #expect(refused.status == 78 && refused.words.contains("is not empty"), "\(refused.words)")
        try FileManager.default.moveItem(atPath: world.daemon.state, toPath: world.daemon.directory + "/old")

        // Half a restore: an object of the backup is damaged.
        let victim = try #require(
            try BackupWorld.objects(world.target).sorted { $0.key < $1.key }.first?.value)
        let whole = try Data(contentsOf: URL(fileURLWithPath: victim))
        try BackupWorld.damage(victim)
        let half = try world.restore()
        #expect(half.status == 74, "\(half.words)")
        let process = try world.daemon.spawn(environment: BackupWorld.environment(world.target))
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
        let world = try BackupWorld()
        for (name, seed) in [("a", UInt64(1)), ("b", 2)] { try world.add(name, seed: seed) }
        let forget = world.daemon.directory + "/f.jsonl"
        try "{\"text\": \"the canary 5f2c9b71 sings\"}\n".write(
            toFile: forget, atomically: false, encoding: .utf8)
        try world.ctl(
            "submit", "task-vector", "--model", "a", "--finetuned", "b", "--forget", forget, "--no-evaluate",
            "--note", "canary 5f2c9b71 of Ann", "--wait")
        _ = try world.backup()
        let before = try BackupWorld.objects(world.target)
        #expect(try BackupWorld.isFound("5f2c9b71", in: world.target))
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
            #expect(try !BackupWorld.isFound("5f2c9b71", in: world.daemon.state))
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
        #expect(try !BackupWorld.isFound("5f2c9b71", in: world.target))
        let left = Set(try BackupWorld.objects(world.target).keys)
        #expect(
            left.isSubset(of: try BackupWorld.objects(world.daemon.state).keys) && left.count < before.count)
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
        let world = try BackupWorld()
        for (name, seed) in [("a", UInt64(1)), ("b", 2)] { try world.add(name, seed: seed) }
        let rows = world.daemon.directory + "/r.jsonl"
        try "{\"text\": \"kept\"}\n".write(toFile: rows, atomically: false, encoding: .utf8)
        try world.ctl(
            "submit", "task-vector", "--model", "a", "--finetuned", "b", "--scale", "0.5", "--forget", rows,
            "--no-evaluate", "--wait")
        _ = try world.backup()
        let objects = try BackupWorld.objects(world.daemon.state).sorted { $0.key < $1.key }.map(\.value)
        #expect(unlink(objects[0]) == 0)
        try BackupWorld.damage(objects[1])
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
        try BackupWorld.damage(try #require(try BackupWorld.objects(world.target)[name]))
        #expect(unlink(objects[0]) == 0)
        let lost = try world.ctl("store", "restore", "disk", status: 74)
        #expect(lost.stdout.contains("lost: \(name)"))
        let audit = try world.ctl("audit", "log", "--json").json.arrayValue?.filter {
            $0["action"] == "store.restore"
        }
        #expect(audit?.count == 3)
    }
}
