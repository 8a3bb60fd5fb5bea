// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// `store verify` by a real daemon: damage is found, named, set aside and healed; long stores are read bit by bit.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct VerificationTests {
    private func run(_ daemon: RunningDaemon, _ arguments: String...) throws -> RunningDaemon.Output {
        let output = try daemon.ctl(arguments)
        #expect(output.status == 0, "\(arguments): \(output.stderr)")
        return output
    }

    private func verification(_ daemon: RunningDaemon) throws -> JSONValue {
        try run(daemon, "store", "status", "--json").json["verification"] ?? .null
    }

    /// The files of objects that are at least so long, by path.
    private func objects(_ daemon: RunningDaemon, longer length: Int) throws -> [String] {
        try directoryContents(daemon.state + "/objects").filter { $0.value.count > length }.keys.sorted()
            .map { daemon.state + "/objects/" + $0 }
    }

    private func spoil(_ path: String) throws {
        var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        bytes[bytes.count - 1] ^= 1
        try FileManager.default.removeItem(atPath: path)
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    private func quarantine(_ daemon: RunningDaemon) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: daemon.state + "/quarantine")
    }

    @Test func `damage is set aside, the versions are named, and an import of the same bytes heals it`()
        throws
    {
        let daemon = try RunningDaemon()
        let (a, b) = (daemon.directory + "/a", daemon.directory + "/b")
        try SyntheticCheckpoint(seed: 1, matrices: 3, side: 512).write(to: a)
        _ = try run(daemon, "model", "import", "a", a)
        let own = try objects(daemon, longer: 100_000)
        #expect(own.count == 3)
        try SyntheticCheckpoint(seed: 2, matrices: 1, side: 512).write(to: b)
        _ = try run(daemon, "model", "import", "b", b)
        #expect(try run(daemon, "store", "verify").stdout.contains("the store is whole"))
        #expect(try verification(daemon)["whole"]?.stringValue != nil)
        #expect(try verification(daemon)["damage"] == .null)

        try spoil(own[0])
        let found = try daemon.ctl(["store", "verify"])
        let name = (own[0] as NSString).lastPathComponent
        #expect(found.status == 74)
        #expect(found.stdout.contains("damaged: \(name), needed by a@v1"), "\(found.stdout)")
        #expect(!found.stdout.contains("b@v1"))
        #expect(try quarantine(daemon).contains { $0.hasPrefix(name) })
        #expect(access(own[0], F_OK) != 0)
        #expect(try verification(daemon)["damage"]?["versions"] == ["a@v1"])
        let doctor = try daemon.ctl(["system", "doctor"])
        #expect(doctor.status == 74 && doctor.stdout.contains("DAMAGED"), "\(doctor.stdout)")
        #expect(try daemon.ctl(["model", "export", "a", daemon.directory + "/exported"]).status != 0)
        // What is gone is found by the quick look too, and b is read as before.
        let quick = try daemon.ctl(["store", "verify", "--quick"])
        #expect(quick.status == 74 && quick.stdout.contains("missing: \(name)"), "\(quick.stdout)")
        _ = try run(daemon, "model", "export", "b", daemon.directory + "/b-out")
        // It is known over a restart.
        #expect(try daemon.stop() == 0)
        try daemon.start()
        #expect(try verification(daemon)["damage"]?["versions"] == ["a@v1"])

        // The same tensors in other files, under another name.
        let sharded = daemon.directory + "/sharded"
        try SyntheticCheckpoint(seed: 1, matrices: 3, side: 512).write(to: sharded, shards: 2)
        _ = try run(daemon, "model", "import", "again", sharded)
        _ = try run(daemon, "store", "verify")
        #expect(try verification(daemon)["damage"] == .null)
        _ = try run(daemon, "model", "export", "a", daemon.directory + "/healed")
        #expect(try directoryContents(daemon.directory + "/healed") == directoryContents(a))
        let audit = try run(daemon, "audit", "log", "--json").json.arrayValue ?? []
        let rows = audit.filter { $0["action"] == "store.verify" }
        #expect(rows.map { $0["body"]?["corrupt"] } == [0, 1, 0, 0])
        #expect(rows.map { $0["body"]?["missing"] } == [0, 0, 1, 0])
        let connection = try daemon.session()
        let jobs: [Job] = try connection.result("job.list", ["all": true])
        #expect(jobs.contains { $0.kind == .verify && $0.warnings.contains { $0.contains("a@v1") } })
    }

    @Test func `a difference that is damaged is healed by the bytes in full`() throws {
        let daemon = try RunningDaemon()
        for (name, seed) in [("a", UInt64(1)), ("b", 2)] {
            let directory = "\(daemon.directory)/\(name)"
            try SyntheticCheckpoint(seed: seed, matrices: 2, side: 512).write(to: directory)
            _ = try run(daemon, "model", "import", name, directory)
        }
        _ = try run(
            daemon, "submit", "task-vector", "--model", "a", "--finetuned", "b", "--scale", "0.001",
            "--no-evaluate", "--wait")
        _ = try run(daemon, "store", "optimize", "--wait")
        let differences = try directoryContents(daemon.state + "/objects").filter {
            $0.value.count > 100 && $0.value[$0.value.startIndex + 6] == 1
        }
        let victim = try #require(differences.keys.sorted().first)
        try spoil(daemon.state + "/objects/" + victim)
        let found = try daemon.ctl(["store", "verify", "--json"])
        #expect(found.status == 74)
        #expect(try found.json["versions"] == ["a@v1"])
        _ = try run(daemon, "model", "import", "again", daemon.directory + "/a")
        _ = try run(daemon, "store", "verify")
        _ = try run(daemon, "model", "export", "a@v1", daemon.directory + "/exported")
        #expect(
            try directoryContents(daemon.directory + "/exported")
                == directoryContents(daemon.directory + "/a"))
    }

    @Test func `a verification with a time limit goes on where the last one stopped, after a restart too`()
        throws
    {
        let daemon = try RunningDaemon()
        let directory = daemon.directory + "/m"
        // Each matrix is an object of its own.
        try SyntheticCheckpoint(seed: 1, matrices: 80, side: 400).write(to: directory)
        _ = try run(daemon, "model", "import", "m", directory)
        let first = try run(daemon, "store", "verify", "--for", "0.001s", "--json").json
        let total = try #require(first["total"]?.integerValue)
        #expect(total >= 80)
        #expect(first["objects"] == 32 && first["position"] == 32)
        let stopped = try #require(first["stopped_at"]?.stringValue)
        #expect(try verification(daemon)["unfinished"]?["after"]?.stringValue == stopped)
        #expect(try verification(daemon)["whole"] == .null)
        #expect(try run(daemon, "store", "status").stdout.contains("32 of \(total) objects"))
        // What is damaged behind the place is found by the part that comes there.
        let last = try #require(try objects(daemon, longer: 100_000).last)
        try spoil(last)
        try daemon.kill()
        try daemon.start()
        let second = try run(daemon, "store", "verify", "--for", "0.001s", "--json").json
        #expect(second["position"] == 64 && second["stopped_at"]?.stringValue ?? "" > stopped)
        // Another level has its own order, and does not disturb this one if it has no limit of time and is a sample.
        _ = try run(daemon, "store", "verify", "--sample", "1%", "--quick")
        let third = try daemon.ctl(["store", "verify", "--for", "0.001s", "--json"])
        #expect(third.status == 74)
        #expect(try third.json["position"]?.integerValue == total)
        #expect(try third.json["stopped_at"] == .null)
        #expect(try verification(daemon)["unfinished"] == .null)
        #expect(try verification(daemon)["whole"]?.stringValue != nil)
        // Damage of one part is not forgotten with the sound first part of the next pass.
        _ = try run(daemon, "store", "verify", "--for", "0.001s", "--json")
        #expect(try verification(daemon)["damage"]?["versions"] == ["m@v1"])
        _ = try run(daemon, "model", "import", "m", directory)
        _ = try run(daemon, "store", "verify")
        #expect(try verification(daemon)["damage"] == .null)
    }

    @Test func `a sample has its share of the objects, and neither order nor time`() throws {
        let daemon = try RunningDaemon()
        let directory = daemon.directory + "/m"
        try SyntheticCheckpoint(seed: 1, matrices: 40, side: 400).write(to: directory)
        _ = try run(daemon, "model", "import", "m", directory)
        let result = try run(daemon, "store", "verify", "--sample", "25%", "--json").json
        let total = try #require(result["total"]?.integerValue)
        #expect(result["objects"]?.integerValue == (total + 3) / 4)
        #expect(try verification(daemon)["whole"] == .null)
        #expect(try run(daemon, "store", "verify", "--sample", "0.0001", "--json").json["objects"] == 1)
        for arguments in [
            ["--sample", "0"], ["--sample", "101%"], ["--sample", "x"], ["--sample", "5%", "--for", "1s"],
        ] {
            #expect(try daemon.ctl(["store", "verify"] + arguments).status == 64, "\(arguments)")
        }
        let connection = try daemon.session()
        for (parameters, field) in [
            (["sample": 1.5], "spec.parameters.sample"), (["seconds": 0], "spec.parameters.seconds"),
            (["sample": 0.5, "seconds": 5], "spec.parameters.seconds"),
            (["scheduled": true], "spec.parameters.scheduled"),
        ] as [(JSONValue, String)] {
            let answer = try connection.request(
                "job.submit", ["spec": ["kind": "verify", "parameters": parameters]])
            #expect(answer["error"]?["data"]?["field"]?.stringValue == field, "\(answer)")
        }
    }

    @Test func `the daemon verifies by itself as often as the configuration says`() throws {
        let daemon = try RunningDaemon(environment: [
            "UNLEARND_VERIFY_EVERY_HOURS": "24", "UNLEARND_VERIFY_MINUTES": "5",
        ])
        try daemon.eventually("the store is verified") {
            try verification(daemon)["whole"]?.stringValue != nil
        }
        let first = try verification(daemon)
        #expect(first["last"]?["scheduled"] == true && first["every_hours"] == 24)
        let next = try #require(first["next"]?.stringValue.flatMap { Timestamp($0) })
        #expect(abs(next.milliseconds - Timestamp.now.milliseconds - 86_400_000) < 60_000)
        #expect(try run(daemon, "store", "status").stdout.contains("next in 23 h"))
        #expect(
            try daemon.ctl(["system", "doctor", "--json"]).json.arrayValue?.contains {
                $0["check"] == "verification" && $0["grade"] == "ok"
            } == true)
        // Not again before a day is over.
        #expect(try daemon.stop() == 0)
        try daemon.start(environment: ["UNLEARND_VERIFY_EVERY_HOURS": "24"])
        usleep(500_000)
        let connection = try daemon.session()
        let jobs: [Job] = try connection.result("job.list", ["all": true])
        #expect(jobs.filter { $0.kind == .verify }.count == 1)
        let audit = try run(daemon, "audit", "log", "--json").json.arrayValue ?? []
        #expect(audit.filter { $0["action"] == "store.verify" }.map { $0["actor"] } == [-1])
    }
}
