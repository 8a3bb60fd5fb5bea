// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// Limits of what may be stored: of a model, of a user, and of the disk when a job starts.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct QuotaTests {
    /// Two models of 16 KiB and some bytes of header and configuration.
    private func prepared(_ configuration: String) throws -> (files: CliRun, daemon: RunningDaemon) {
        let files = try CliRun()
        let daemon = try RunningDaemon(["--config", try files.write(configuration, to: "c.yaml")])
        for (name, seed) in [("a", UInt64(1)), ("b", 2)] {
            let directory = "\(daemon.directory)/\(name)"
            try SyntheticCheckpoint(seed: seed, matrices: 2, side: 64).write(to: directory)
            let output = try daemon.ctl(["model", "import", name, directory])
            #expect(output.status == 0, "\(output.stderr)")
        }
        return (files, daemon)
    }

    private let edit = [
        "submit", "task-vector", "--model", "a", "--finetuned", "b", "--no-evaluate", "--wait",
    ]

    /// Everything in the state directory that a job writes.
    private func objects(_ daemon: RunningDaemon) throws -> [String] {
        try directoryContents(daemon.state + "/objects").keys.sorted()
    }

    @Test func `a model's versions may have so many bytes, and a refusal says how many and what helps`()
        throws
    {
        let (_, daemon) = try prepared("model_quota: 40000B\n")
        #expect(try daemon.ctl(edit).status == 0)
        let bytes =
            try daemon.ctl(["model", "history", "a", "--json"]).json.arrayValue?
            .compactMap { $0["bytes"]?.integerValue } ?? []
        let before = try objects(daemon)
        for arguments in [edit, edit + ["--dry-run"], ["model", "import", "a", daemon.directory + "/b"]] {
            let refused = try daemon.ctl(
                arguments.filter { !arguments.contains("--dry-run") || $0 != "--wait" })
            #expect(refused.status == 74, "\(arguments): \(refused.stderr)")
            #expect(
                refused.stderr.contains("the versions of a have \(bytes.reduce(0, +)) bytes")
                    && refused.stderr.contains("model_quota allows 40000 bytes")
                    && refused.stderr.contains("model purge"), "\(refused.stderr)")
        }
        #expect(try objects(daemon) == before)
        // Another model has its own, and what is purged does not count.
        #expect(try daemon.ctl(["model", "import", "c", daemon.directory + "/b"]).status == 0)
        #expect(try daemon.ctl(["model", "purge", "a@v1", "--yes"]).status == 0)
        #expect(try daemon.ctl(edit).status == 0)
    }

    @Test func `a user's versions may have so many bytes in all models`() throws {
        let (_, daemon) = try prepared("user_quota: 55000B\n")
        let refused = try daemon.ctl(["model", "import", "c", daemon.directory + "/a"])
        #expect(refused.status == 0, "\(refused.stderr)")
        let before = try objects(daemon)
        let again = try daemon.ctl(edit)
        #expect(again.status == 74 && again.stderr.contains("user_quota"), "\(again.stderr)")
        #expect(again.stderr.contains("user \(getuid()) made"))
        let sweep = try daemon.ctl(edit.dropLast() + ["--sweep", "scale=0.1,0.2"])
        #expect(sweep.status == 74, "\(sweep.stderr)")
        #expect(try objects(daemon) == before)
    }

    @Test(arguments: [
        ("model_quota: 20000B\n", "model_quota"), ("user_quota: 20000B\n", "user_quota"),
    ])
    func `what has filled up while a job waited is seen when it starts`(limit: String, key: String) throws {
        let (files, daemon) = try prepared("# nothing\n")
        let held = try daemon.ctl(edit.dropLast() + ["--hold", "--quiet"])
        #expect(held.status == 0, "\(held.stderr)")
        let job = held.stdout.trimmingCharacters(in: .whitespacesAndNewlines)
        let before = try objects(daemon)
        _ = try files.write(limit, to: "c.yaml")
        daemon.process?.signal(SIGHUP)
        try daemon.eventually("the configuration is reloaded") { daemon.log.contains("reload: \(key)") }
        #expect(try daemon.ctl(["release", job]).status == 0)
        let ended = try daemon.ctl(["wait", job])
        #expect(ended.status == 1)
        let shown = try daemon.ctl(["show", job, "--json"]).json
        #expect(shown["state"] == "failed" && shown["error"]?["kind"] == "storage", "\(shown)")
        #expect(shown["error"]?["message"]?.stringValue?.contains(key) == true, "\(shown)")
        #expect(try objects(daemon) == before)
        // With the room it needs it goes on.
        _ = try files.write("# nothing\n", to: "c.yaml")
        daemon.process?.signal(SIGHUP)
        try daemon.eventually("the limit is lifted") {
            daemon.log.components(separatedBy: "reload: \(key)").count == 3
        }
        #expect(try daemon.ctl(["retry", job]).status == 0)
        #expect(try daemon.ctl(["store", "verify"]).status == 0)
    }

    @Test func `without room on the disk a job waits, and goes on when there is some`() throws {
        let (files, daemon) = try prepared("# nothing\n")
        let held = try daemon.ctl(edit.dropLast() + ["--hold", "--quiet"])
        #expect(held.status == 0, "\(held.stderr)")
        let job = held.stdout.trimmingCharacters(in: .whitespacesAndNewlines)
        let before = try objects(daemon)
        func reload(_ text: String, times: Int) throws {
            _ = try files.write(text, to: "c.yaml")
            daemon.process?.signal(SIGHUP)
            try daemon.eventually("the configuration is reloaded") {
                daemon.log.components(separatedBy: "reload: free_space_floor").count == times + 1
            }
        }
        try reload("free_space_floor: 1000000TiB\n", times: 1)
        #expect(try daemon.ctl(["release", job]).status == 0)
        try daemon.eventually("it waits for room") {
            try daemon.ctl(["show", job, "--json"]).json["reason"] == "disk"
        }
        #expect(try objects(daemon) == before)
        try reload("# nothing\n", times: 2)
        #expect(try daemon.ctl(["wait", job]).status == 0)
        #expect(try daemon.ctl(["store", "verify"]).status == 0)
    }
}
