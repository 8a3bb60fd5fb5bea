// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// `store optimize` by a real daemon: what it saves, and that nothing else can tell.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct OptimizeTests {
    /// Model `a` with two versions: a@v2 is a@v1 with a small part of another model's direction taken away.
    private func prepared() throws -> RunningDaemon {
        let daemon = try RunningDaemon()
        for (name, seed) in [("a", UInt64(1)), ("b", 2)] {
            let directory = "\(daemon.directory)/\(name)"
            try SyntheticCheckpoint(seed: seed, matrices: 3, side: 512).write(to: directory)
            let output = try daemon.ctl(["model", "import", name, directory])
            #expect(output.status == 0, "\(output.stderr)")
        }
        try edit(daemon)
        return daemon
    }

    private func edit(_ daemon: RunningDaemon) throws {
        let job = try daemon.ctl([
            "submit", "task-vector", "--model", "a", "--finetuned", "b", "--scale", "0.001", "--no-evaluate",
            "--wait",
        ])
        #expect(job.status == 0, "\(job.stderr)")
    }

    private func run(_ daemon: RunningDaemon, _ arguments: String...) throws -> RunningDaemon.Output {
        let output = try daemon.ctl(arguments)
        #expect(output.status == 0, "\(arguments): \(output.stderr)")
        return output
    }

    private func status(_ daemon: RunningDaemon, _ member: String) throws -> Int64 {
        try run(daemon, "store", "status", "--json").json[member]?.integerValue ?? -1
    }

    /// Whether the first version comes out as it went in.
    private func exportsFirst(_ daemon: RunningDaemon) throws -> Bool {
        let target = daemon.directory + "/out-\(UInt32.random(in: 0...UInt32.max))"
        _ = try run(daemon, "model", "export", "a@v1", target)
        return try directoryContents(target) == directoryContents(daemon.directory + "/a")
    }

    @Test func `an older version becomes differences, is read as before, and comes back in full as the head`()
        throws
    {
        let daemon = try prepared()
        let stored = try status(daemon, "stored_bytes")
        let plan = try run(daemon, "store", "optimize", "--dry-run", "--json").json
        #expect(plan["kind"] == "optimize" && plan["result"]?["deltas"] == 3, "\(plan)")
        #expect(try status(daemon, "delta_objects") == 0)
        #expect(try status(daemon, "stored_bytes") == stored)

        let done = try run(daemon, "store", "optimize", "--wait")
        #expect(done.stdout.contains("3 objects are now differences"), "\(done.stdout)")
        #expect(done.stdout.contains("saved"))
        let saved =
            (plan["result"]?["bytes_before"]?.integerValue ?? 0)
            - (plan["result"]?["bytes_after"]?.integerValue ?? 0)
        #expect(try status(daemon, "delta_objects") == 3)
        #expect(try status(daemon, "delta_saved_bytes") == saved)
        #expect(try status(daemon, "stored_bytes") == stored - saved)
        #expect(try run(daemon, "store", "status").stdout.contains("deltas    3 objects"))
        #expect(try exportsFirst(daemon))
        _ = try run(daemon, "store", "verify")
        let gc = try run(daemon, "store", "gc", "--dry-run", "--json").json
        #expect(gc["objects"] == 0)
        let audit = try run(daemon, "audit", "log", "--json").json.arrayValue ?? []
        #expect(audit.filter { $0["action"] == "store.optimize" }.map { $0["body"]?["deltas"] } == [3])

        _ = try run(daemon, "rollback", "a", "--to", "v1")
        #expect(try exportsFirst(daemon))
        let again = try run(daemon, "store", "optimize", "--wait", "--json").json
        #expect(again["result"]?["restored"] == 3)
        #expect(try status(daemon, "delta_objects") == 0)
        #expect(try exportsFirst(daemon))
        // Through the queue and the wire, too.
        let connection = try daemon.session()
        let queued: JobSubmitResult = try connection.result("store.optimize", ["dry_run": true])
        #expect(queued.job?.kind == .optimize)
        let named = try connection.request("job.submit", ["spec": ["kind": "optimize", "model": "a"]])
        #expect(named["error"]?["data"]?["field"] == "spec.model")
    }

    @Test func `versions that are tagged or held stay in full`() throws {
        let daemon = try prepared()
        _ = try run(daemon, "model", "tag", "a@v1", "release")
        #expect(try run(daemon, "store", "optimize", "--wait", "--json").json["result"]?["objects"] == 0)
        _ = try run(daemon, "model", "tag", "a@v1", "release", "--remove")
        _ = try run(daemon, "model", "hold", "a@v1", "--reason", "a test")
        #expect(try run(daemon, "store", "optimize", "--wait", "--json").json["result"]?["objects"] == 0)
        _ = try run(daemon, "model", "unhold", "a@v1")
        #expect(try run(daemon, "store", "optimize", "--wait", "--json").json["result"]?["deltas"] == 3)
    }

    @Test func `a purge of the newer version leaves the older one whole and nothing that tells of the newer`()
        throws
    {
        let daemon = try prepared()
        let newer = try run(daemon, "model", "export", "a@v2", daemon.directory + "/second")
        #expect(newer.status == 0)
        _ = try run(daemon, "store", "optimize", "--wait")
        _ = try run(daemon, "rollback", "a", "--to", "v1")
        _ = try run(daemon, "model", "purge", "a@v2", "--yes")
        #expect(try status(daemon, "delta_objects") == 0)
        #expect(try status(daemon, "garbage_objects") == 0)
        #expect(try exportsFirst(daemon))
        _ = try run(daemon, "store", "verify")
        // No file is a difference any more, and none that was is left anywhere.
        let files = try directoryContents(daemon.state).filter { $0.value.starts(with: Array("ULO1".utf8)) }
        #expect(!files.isEmpty && files.allSatisfy { $0.value[$0.value.startIndex + 6] == 0 })
    }

    @Test(arguments: ["after-purge-record", "after-purge-datasets"])
    func `a purge that is cut off does not take what an older version is read by`(point: String) throws {
        let daemon = try prepared()
        _ = try run(daemon, "store", "optimize", "--wait")
        _ = try run(daemon, "rollback", "a", "--to", "v1")
        #expect(try daemon.stop() == 0)
        try daemon.start(environment: ["UNLEARND_FAILPOINT": point])
        _ = try daemon.ctl(["model", "purge", "a@v2", "--yes"])
        #expect(try daemon.process?.wait(seconds: 30) == 128 + SIGKILL)
        try daemon.start()
        try daemon.eventually("the purge is finished", seconds: 30) {
            try status(daemon, "garbage_objects") == 0
        }
        #expect(try status(daemon, "delta_objects") == 0)
        #expect(try exportsFirst(daemon))
        _ = try run(daemon, "store", "verify")
    }

    @Test func `a damaged object is told and the job does the rest`() throws {
        let daemon = try prepared()
        let before = try directoryContents(daemon.state + "/objects")
        let victim = try #require(before.filter { $0.value.count > 100_000 }.keys.sorted().first)
        let path = daemon.state + "/objects/" + victim
        var bytes = try #require(before[victim])
        bytes[bytes.count - 1] ^= 1
        try FileManager.default.removeItem(atPath: path)
        try bytes.write(to: URL(fileURLWithPath: path))
        let done = try run(daemon, "store", "optimize", "--wait", "--json").json
        // It belongs to a@v1, to a@v2, or to b, which is not looked at.
        let damaged = done["result"]?["damaged"]?.arrayValue?.count ?? -1
        #expect(done["state"] == "succeeded" && damaged <= 1)
        #expect(done["result"]?["deltas"]?.integerValue == Int64(3 - damaged))
        #expect(done["warnings"]?.arrayValue?.count == damaged)
    }
}
