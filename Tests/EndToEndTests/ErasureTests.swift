// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// Purges and certificates of real jobs.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct ErasureTests {
    private static let row = "{\"text\": \"the canary 5f2c9b71 sings\"}\n"

    /// Models `a` and `b`; job 3 made a@v2 of a@v1 by the task vector of b.
    private func prepared() throws -> RunningDaemon {
        let daemon = try RunningDaemon()
        for (name, seed) in [("a", UInt64(1)), ("b", 2)] {
            let directory = "\(daemon.directory)/\(name)"
            try SyntheticCheckpoint(seed: seed, matrices: 2, side: 64).write(to: directory)
            let output = try daemon.ctl(["model", "import", name, directory])
            #expect(output.status == 0, "\(output.stderr)")
        }
        let forget = daemon.directory + "/f.jsonl"
        try Self.row.write(toFile: forget, atomically: false, encoding: .utf8)
        let job = try daemon.ctl([
            "submit", "task-vector", "--model", "a", "--finetuned", "b", "--forget", forget, "--no-evaluate",
            "--note", "canary 5f2c9b71 of Ann", "--label", "person=canary 5f2c9b71", "--wait", "--json",
        ])
        #expect(job.status == 0, "\(job.stderr)")
        return daemon
    }

    /// Whether any file of the state directory has the text as it is.
    private func isFound(_ text: String, in daemon: RunningDaemon) throws -> Bool {
        let files = try #require(FileManager.default.enumerator(atPath: daemon.state))
        for case let name as String in files {
            guard let bytes = FileManager.default.contents(atPath: daemon.state + "/" + name) else {
                continue
            }
            if bytes.range(of: Data(text.utf8)) != nil { return true }
        }
        return false
    }

    private func checkPurged(_ daemon: RunningDaemon) throws {
        let history = try daemon.ctl(["model", "history", "a", "--json"]).json.arrayValue
        #expect(history?.map { $0["gone"] } == [true, false])
        #expect(try daemon.ctl(["dataset", "list", "--json"]).json == [])
        #expect(try daemon.ctl(["store", "verify"]).status == 0)
        #expect(try daemon.ctl(["audit", "verify"]).status == 0)
        let garbage = try daemon.ctl(["store", "status", "--json"]).json["garbage_objects"]
        #expect(garbage == 0)
        #expect(try daemon.stop() == 0)
        #expect(try !isFound("5f2c9b71", in: daemon))
    }

    @Test func `a purge by job leaves the result, the numbers and no texts`() throws {
        let daemon = try prepared()
        #expect(try daemon.ctl(["purge", "--job", "3"]).status == 64)
        let plan = try daemon.ctl(["purge", "--job", "3", "--dry-run", "--json"]).json
        #expect(plan["dry_run"] == true && plan["obstacles"] == [])
        #expect(plan["versions"]?.arrayValue?.map { $0["version"] } == ["a@v1", "b@v1"])
        #expect(plan["forget"] == plan["datasets"]?.arrayValue?.first?["dataset"])
        let words = try daemon.ctl(["purge", "--job", "3", "--dry-run"]).stdout
        #expect(words.contains("the forget set") && !words.contains("of it"), "\(words)")
        let done = try daemon.ctl(["purge", "--job", "3", "--yes"])
        #expect(done.status == 0, "\(done.stderr)")
        #expect(done.stdout.contains("logical deletion"))
        let rollback = try daemon.ctl(["rollback", "a", "--to", "v1"])
        #expect(rollback.status == 5 && rollback.stderr.contains("was purged on"))
        let report = try daemon.ctl(["report", "3"])
        #expect(report.status == 0 && report.stdout.contains("[purged]"), "\(report.stderr)")
        for command in ["report", "show"] {
            let text = try daemon.ctl([command, "3"])
            #expect(
                text.stdout.contains("v1 is gone for good") && !text.stdout.contains("v1 stays"),
                "\(text.stdout)")
        }
        let again = try daemon.ctl(["model", "import", "c", daemon.directory + "/a"])
        #expect(again.status == 1 && again.stderr.contains("must not come back"), "\(again.stderr)")
        let upload = try daemon.ctl([
            "submit", "task-vector", "--model", "a", "--finetuned", "a", "--scale", "2", "--forget",
            daemon.directory + "/f.jsonl", "--no-evaluate",
        ])
        #expect(upload.status == 5 && upload.stderr.contains("must not come back"), "\(upload.stderr)")
        #expect(try daemon.ctl(["store", "gc"]).status == 0)
        try checkPurged(daemon)
    }

    @Test(arguments: ["inside-purge", "after-purge-record", "after-purge-datasets", "after-purge-objects"])
    func `a purge that is cut off has not begun or is finished by the next start`(point: String) throws {
        let daemon = try prepared()
        #expect(try daemon.stop() == 0)
        try daemon.start(environment: ["UNLEARND_FAILPOINT": point])
        _ = try daemon.ctl(["purge", "--job", "3", "--yes"])
        #expect(try daemon.process?.wait(seconds: 30) == 128 + SIGKILL)
        try daemon.start()
        if point == "inside-purge" {
            #expect(
                try daemon.ctl(["model", "history", "a", "--json"]).json.arrayValue?.first?["gone"] == false)
            #expect(try daemon.ctl(["purge", "--job", "3", "--yes"]).status == 0)
        }
        try daemon.eventually("the purge is finished", seconds: 30) {
            try daemon.ctl(["store", "status", "--json"]).json["garbage_objects"] == 0
        }
        try checkPurged(daemon)
    }

    @Test func `a certificate holds offline, and not with any byte changed`() throws {
        let daemon = try prepared()
        let file = daemon.directory + "/c.json"
        let made = try daemon.ctl(["audit", "certificate", "3", "-o", file])
        #expect(made.status == 0, "\(made.stderr)")
        let salt = try #require(made.stderr.split(whereSeparator: \.isWhitespace).last.map(String.init))
        let key = daemon.directory + "/key"
        try daemon.ctl(["audit", "key"]).stdout.write(toFile: key, atomically: false, encoding: .utf8)
        let mode = try FileManager.default.attributesOfItem(atPath: daemon.state + "/keys/audit")[
            .posixPermissions]
        #expect(mode as? Int == 0o600)
        #expect(try daemon.ctl(["purge", "--job", "3", "--yes"]).status == 0)
        let later = try daemon.ctl(["audit", "certificate", "3"])
        #expect(try daemon.stop() == 0)

        func check(_ path: String, _ more: String...) throws -> RunningDaemon.Output {
            try daemon.ctl(["verify-certificate", path] + more)
        }
        let whole = try check(file, "--key", key, "--forget", daemon.directory + "/f.jsonl", "--salt", salt)
        #expect(
            whole.status == 0 && whole.stdout.hasPrefix("valid: task-vector of a, v1 → v2"), "\(whole.stderr)"
        )
        let text = try String(contentsOfFile: file, encoding: .utf8)
        #expect(!text.contains("canary") && !text.contains("person"))
        let parsed = try StrictJSON.parse(text)
        let body = try #require(parsed["certificate"]?.objectValue)
        #expect(body["forget_set"]?["rows"] == 1 && body["purges"] == [])

        // With the purge in it, and the same commitment.
        let purged = try StrictJSON.parse(later.stdout)
        #expect(purged["certificate"]?["purges"]?.arrayValue?.first?["erasure"] == "logical deletion")
        #expect(purged["certificate"]?["forget_set"]?["commitment"] == body["forget_set"]?["commitment"])
        #expect(
            try daemon.ctl(["audit", "verify-certificate", "-", "--key", key], input: later.stdout).status
                == 0)

        let changed = daemon.directory + "/changed.json"
        func expectRefused(_ text: String, _ reason: String, _ what: String) throws {
            try text.write(toFile: changed, atomically: false, encoding: .utf8)
            let output = try check(changed, "--key", key)
            #expect(output.status == 65 && output.stderr.contains(reason), "\(what): \(output.stderr)")
        }
        for name in body.keys {
            var other = body
            other[name] = "another"
            var document = try #require(parsed.objectValue)
            document["certificate"] = .object(other)
            try expectRefused(
                String(decoding: CertificateForm.file(.object(document)), as: UTF8.self),
                name == "schema" ? "schema" : "something in it was changed", name)
        }
        try expectRefused(text + "\n", "canonical form", "a line feed more")
        try expectRefused(text.replacingOccurrences(of: "\"v1\"", with: "\"v3\""), "was changed", "a version")
        try expectRefused(String(text.dropLast(4)), "strict JSON", "cut off")
        var signature = try #require(parsed["signature"]?.stringValue)
        signature = (signature.first == "0" ? "1" : "0") + signature.dropFirst()
        var document = try #require(parsed.objectValue)
        document["signature"] = .string(signature)
        try expectRefused(
            String(decoding: CertificateForm.file(.object(document)), as: UTF8.self), "was changed",
            "signature")
        try String(repeating: "ab", count: 32).write(toFile: key, atomically: false, encoding: .utf8)
        let foreign = try check(file, "--key", key)
        #expect(foreign.status == 65 && foreign.stderr.contains("signed with another key"))
        try Self.row.replacingOccurrences(of: "sings", with: "sang").write(
            toFile: changed, atomically: false, encoding: .utf8)
        let other = try check(file, "--forget", changed, "--salt", salt)
        #expect(other.status == 65 && other.stderr.contains("another forget set"))
    }
}
