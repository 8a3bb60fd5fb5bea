// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// Models that are taken out of use from the command line.
@Suite(.timeLimit(.minutes(15)))
struct RemovalTests {
    private let rm = ["model", "rm", "a", "--reason", "case Q-17"]

    private func names(_ daemon: RunningDaemon) throws -> [String] {
        try daemon.ctl(["model", "list", "--json"]).json.arrayValue?.compactMap {
            $0["model"]?.stringValue
        } ?? []
    }

    @Test func `a model is removed once nothing is in the way, its files are freed, and its name goes on`()
        throws
    {
        let daemon = try RunningDaemon()
        for (name, seed) in [("a", UInt64(1)), ("b", 2)] {
            let directory = "\(daemon.directory)/\(name)"
            try SyntheticCheckpoint(seed: seed, matrices: 2, side: 256).write(to: directory)
            let output = try daemon.ctl(["model", "import", name, directory])
            try #require(output.status == 0, "\(output.stderr)")
        }
        let forget = daemon.directory + "/f.jsonl"
        try "{\"text\": \"a row to forget\"}\n".write(toFile: forget, atomically: false, encoding: .utf8)
        let edit = [
            "submit", "task-vector", "--model", "a", "--finetuned", "b", "--scale", "0.5", "--forget", forget,
            "--no-evaluate",
        ]
        let edited = try daemon.ctl(edit + ["--wait", "--quiet"])
        try #require(edited.status == 0, "\(edited.stderr)")
        let job = edited.stdout.trimmingCharacters(in: .whitespacesAndNewlines)

        // Nobody is there to be asked, and a reason is needed.
        let unasked = try daemon.ctl(rm)
        #expect(unasked.status == 64 && unasked.stderr.contains("--yes"), "\(unasked.stderr)")
        #expect(try daemon.ctl(["model", "rm", "a", "--yes"]).status == 64)
        #expect(try daemon.ctl(["model", "rm", "a", "--reason", " ", "--yes"]).status == 64)
        let unknown = try daemon.ctl(["model", "rm", "c", "--reason", "x", "--yes"])
        #expect(unknown.status == 5, "\(unknown.stderr)")

        #expect(try daemon.ctl(["model", "hold", "a@v1", "--reason", "a case"]).status == 0)
        let held = try daemon.ctl(rm + ["--yes"])
        #expect(held.status == 6 && held.stderr.contains("a@v1 is held"), "\(held.stderr)")
        #expect(held.stderr.contains("unlearnctl model unhold a@v1"))
        #expect(try daemon.ctl(["model", "unhold", "a@v1"]).status == 0)

        let waits = try daemon.ctl(
            ["submit", "task-vector", "--model", "b", "--finetuned", "a@v2", "--hold", "--quiet"])
        try #require(waits.status == 0, "\(waits.stderr)")
        let waiting = waits.stdout.trimmingCharacters(in: .whitespacesAndNewlines)
        let used = try daemon.ctl(rm + ["--yes"])
        #expect(
            used.status == 6 && used.stderr.contains("job \(waiting) is held and uses a"), "\(used.stderr)")
        #expect(used.stderr.contains("unlearnctl cancel \(waiting)"))
        #expect(try daemon.ctl(["cancel", waiting]).status == 0)
        #expect(try names(daemon) == ["a", "b"])
        #expect(try daemon.ctl(["model", "show", "a", "--json"]).json["head"] == "v2")

        let report = try daemon.ctl(["report", job, "--json"]).json
        let stored = try daemon.ctl(["store", "status", "--json"]).json["stored_bytes"]?.integerValue ?? 0
        let removed = try daemon.ctl(rm + ["--yes"])
        #expect(removed.status == 0, "\(removed.stderr)")
        #expect(removed.stdout == "a is removed, with 2 versions that had files\n")
        #expect(try names(daemon) == ["b"])
        for command in [
            rm + ["--yes"], ["model", "export", "a", daemon.directory + "/exported"],
            ["rollback", "a", "--to", "v1"], ["model", "purge", "a@v1", "--yes"],
        ] {
            let gone = try daemon.ctl(command)
            #expect(gone.status == 5 && gone.stderr.contains("was removed"), "\(command): \(gone.stderr)")
        }

        // Its record stays.
        let shown = try daemon.ctl(["model", "show", "a"])
        #expect(shown.status == 0 && shown.stdout.contains("a, removed"), "\(shown.stdout)")
        #expect(shown.stdout.contains("up to v2: case Q-17"), "\(shown.stdout)")
        let history = try daemon.ctl(["model", "history", "a", "--json"]).json.arrayValue ?? []
        #expect(history.count == 2 && history.allSatisfy { $0["gone"] == true && $0["removed"] != .null })
        #expect(try daemon.ctl(["show", job, "--json"]).json["version"] == "v2")
        let later = try daemon.ctl(["report", job, "--json"]).json
        #expect(later["job"] == report["job"] && later["job"] != nil)
        let audit = try daemon.ctl(["audit", "log", "--json"]).stdout
        #expect(audit.contains("model.remove") && !audit.contains("Q-17"))

        // The files go with the next collection, and only those of a.
        let freed = try daemon.ctl(["store", "gc", "--json"]).json["bytes"]?.integerValue ?? 0
        let left = try daemon.ctl(["store", "status", "--json"]).json["stored_bytes"]?.integerValue ?? 0
        #expect(freed > 0 && left < stored, "\(freed) bytes freed, \(stored) before, \(left) after")
        #expect(try daemon.ctl(["store", "verify"]).status == 0)
        let certificate = try daemon.ctl(["audit", "certificate", job, "-o", daemon.directory + "/c.json"])
        #expect(certificate.status == 0, "\(certificate.stderr)")
        #expect(try daemon.ctl(["model", "export", "b", daemon.directory + "/b2"]).status == 0)

        #expect(try daemon.stop() == 0)
        try daemon.start()
        #expect(try names(daemon) == ["b"])
        let again = try daemon.ctl(["model", "import", "a", daemon.directory + "/a"])
        #expect(again.status == 0, "\(again.stderr)")
        #expect(try names(daemon) == ["a", "b"])
        let next = try daemon.ctl(["model", "history", "a", "--json"]).json.arrayValue ?? []
        #expect(next.map { $0["version"] } == ["v1", "v2", "v3"])
        #expect(next.last?["head"] == true && next.last?["removed"] == .null)
        let old = try daemon.ctl(["model", "export", "a@v1", daemon.directory + "/old"])
        #expect(old.status == 5 && old.stderr.contains("removed with its model"), "\(old.stderr)")
        #expect(try daemon.ctl(["model", "export", "a", daemon.directory + "/new"]).status == 0)
        #expect(try daemon.ctl(["audit", "verify"]).status == 0)
        #expect(try daemon.stop() == 0)
    }

    @Test func `a model is created anew under the name of a removed one, and only then`() throws {
        let daemon = try RunningDaemon()
        let create = [
            "model", "create", "a", "--config", ExampleModel.path("config.json"),
            "--tokenizer", ExampleModel.path("tokenizer.json"),
            "--tokenizer-config", ExampleModel.path("tokenizer_config.json"),
        ]
        #expect(try daemon.ctl(create).status == 0)
        #expect(try daemon.ctl(create).status == 6)
        #expect(try daemon.ctl(rm + ["--yes"]).status == 0)
        let again = try daemon.ctl(create + ["--seed", "5"])
        #expect(again.status == 0, "\(again.stderr)")
        #expect(try daemon.ctl(["model", "show", "a", "--json"]).json["head"] == "v2")
        #expect(try daemon.stop() == 0)
    }

    @Test func `a model that a target follows is not removed`() throws {
        let files = try CliRun()
        let target = files.directory + "/serving"
        try FileManager.default.createDirectory(
            atPath: target, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        let daemon = try RunningDaemon([
            "--config",
            try files.write("publish_targets:\n  serving:\n    directory: \(target)\n", to: "c.yaml"),
        ])
        try SyntheticCheckpoint(seed: 1, matrices: 1, side: 64).write(to: daemon.directory + "/a")
        #expect(try daemon.ctl(["model", "import", "a", daemon.directory + "/a"]).status == 0)
        #expect(try daemon.ctl(["model", "publish", "a", "serving"]).status == 0)
        try daemon.eventually("v1 is published") {
            let shown = try daemon.ctl(["model", "show", "a", "--json"]).json
            let jobs = try daemon.ctl(["ps", "--json"]).json.arrayValue ?? []
            return shown["publications"]?.arrayValue?.first?["state"] == "current"
                && jobs.allSatisfy { ["succeeded", "failed"].contains($0["state"]?.stringValue) }
        }
        let refused = try daemon.ctl(rm + ["--yes"])
        #expect(
            refused.status == 6 && refused.stderr.contains("a is published to serving"), "\(refused.stderr)")
        #expect(refused.stderr.contains("unlearnctl model publish a serving --off"))
        #expect(try daemon.ctl(["model", "publish", "a", "serving", "--off"]).status == 0)
        #expect(try daemon.ctl(rm + ["--yes"]).status == 0)
        #expect(try daemon.stop() == 0)
    }
}
