// SPDX-License-Identifier: Apache-2.0

import Protocol
import TestSupport
import Testing

/// Versions whose time is over go without anybody asking.
@Suite(.timeLimit(.minutes(15)))
struct CandidateExpiryTests {
    @Test func `the running daemon gives up candidates whose time is over`() throws {
        let daemon = try RunningDaemon()
        for (name, seed) in [("a", UInt64(1)), ("tuned", 2)] {
            try SyntheticCheckpoint(seed: seed, matrices: 1, side: 64).write(
                to: "\(daemon.directory)/\(name)")
            let output = try daemon.ctl(["model", "import", name, "\(daemon.directory)/\(name)"])
            try #require(output.status == 0, "\(output.stderr)")
        }
        // The second one's base is no longer head: it is kept as a candidate.
        for model in ["a", "a@v1"] {
            let scale = model == "a" ? "1" : "0.5"
            let output = try daemon.ctl([
                "submit", "task-vector", "--model", model, "--finetuned", "tuned", "--scale", scale, "--wait",
            ])
            try #require(output.status == 0, "\(output.stderr)")
        }
        func versions() throws -> [String] {
            try daemon.ctl(["model", "history", "a", "--json"]).json.arrayValue?
                .filter { $0["candidate"] == true && $0["purged"] != true }
                .compactMap { $0["version"]?.stringValue } ?? []
        }
        #expect(try versions() == ["v3"])
        #expect(try daemon.stop() == 0)
        try daemon.start(environment: ["UNLEARND_CANDIDATE_DEPTH": "0", "UNLEARND_CANDIDATE_DAYS": "0"])
        try daemon.eventually("v3 expires") { daemon.log.contains("candidates expired: a@v3") }
        #expect(try daemon.ctl(["store", "verify"]).status == 0)
        #expect(try daemon.stop() == 0)
    }

    @Test func `the running daemon gives up what an accepted job has replaced, if it is told to`() throws {
        let daemon = try RunningDaemon()
        for (name, seed) in [("a", UInt64(1)), ("tuned", 2)] {
            try SyntheticCheckpoint(seed: seed, matrices: 1, side: 64).write(
                to: "\(daemon.directory)/\(name)")
            #expect(try daemon.ctl(["model", "import", name, "\(daemon.directory)/\(name)"]).status == 0)
        }
        let edit = ["submit", "task-vector", "--model", "a", "--finetuned", "tuned", "--wait"]
        #expect(try daemon.ctl(edit).status == 0)
        func first() throws -> JSONValue {
            try daemon.ctl(["model", "history", "a", "--json"]).json.arrayValue?.first ?? .null
        }
        // For ever, unless the configuration says otherwise.
        #expect(try first()["class"] == "pre-edit" && first()["expires"] == .null)
        #expect(try daemon.ctl(["store", "gc", "--dry-run", "--json"]).json["expired_pre_edit"] == [])
        #expect(try daemon.stop() == 0)

        try daemon.start(environment: ["UNLEARND_EXPIRE_PRE_EDIT_DAYS": "30"])
        let expires = try #require(try first()["expires"]?.stringValue.flatMap { Timestamp($0) })
        #expect(abs(expires.milliseconds - Timestamp.now.milliseconds - 30 * 86_400_000) < 120_000)
        #expect(try daemon.ctl(["model", "history", "a"]).stdout.contains("pre-edit, expires in 29 d"))
        #expect(try daemon.ctl(["store", "gc", "--dry-run", "--json"]).json["expired_pre_edit"] == [])
        // A hold stops the clock for it.
        #expect(try daemon.ctl(["model", "hold", "a@v1", "--reason", "a case"]).status == 0)
        #expect(try first()["expires"] == .null)
        #expect(try daemon.stop() == 0)

        // A second is 1.2e-5 days.
        let soon = ["UNLEARND_EXPIRE_PRE_EDIT_DAYS": "0.000001"]
        try daemon.start(environment: soon)
        #expect(try daemon.ctl(["store", "gc", "--dry-run", "--json"]).json["expired_pre_edit"] == [])
        #expect(try daemon.ctl(["model", "unhold", "a@v1"]).status == 0)
        let plan = try daemon.ctl(["store", "gc", "--dry-run"])
        #expect(
            plan.stdout.contains("a@v1: replaced by an accepted job, and its time is over"), "\(plan.stdout)")
        let planned = try daemon.ctl(["store", "gc", "--dry-run", "--json"]).json
        #expect(planned["expired_pre_edit"] == ["a@v1"])
        let free = try daemon.ctl(["store", "status", "--json"]).json["stored_bytes"]?.integerValue ?? 0
        #expect(try daemon.stop() == 0)
        try daemon.start(environment: soon)
        try daemon.eventually("v1 expires") {
            daemon.log.contains("versions from before an edit expired: a@v1")
        }
        #expect(try first()["gone"] == true && first()["class"] == .null)
        // Just what the dry run said.
        let now = try daemon.ctl(["store", "status", "--json"]).json
        #expect(now["garbage_objects"] == 0)
        let audit = try daemon.ctl(["audit", "log", "--json"]).json.arrayValue ?? []
        let expired = audit.filter { $0["action"] == "version.expire" }
        #expect(expired.map { $0["body"]?["version"] } == ["v1"])
        #expect(expired.map { $0["body"]?["class"] } == ["pre-edit"])
        let collected = try #require(audit.last { $0["action"] == "store.gc" })
        #expect(collected["body"]?["objects"] == planned["objects"])
        #expect(collected["body"]?["bytes"] == planned["bytes"])
        #expect((planned["bytes"]?.integerValue ?? 0) > 0 && free > (now["stored_bytes"]?.integerValue ?? 0))
        let export = try daemon.ctl(["model", "export", "a@v1", daemon.directory + "/exported"])
        #expect(
            export.status == 5 && export.stderr.contains("an accepted job had replaced it"),
            "\(export.stderr)")
        #expect(try daemon.ctl(["store", "verify"]).status == 0)
        #expect(try daemon.ctl(["audit", "verify"]).status == 0)
        #expect(try daemon.stop() == 0)
    }
}
