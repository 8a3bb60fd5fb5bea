// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// Versions that know what was forgotten, and disks that are to stay free.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct RestrictionTests {
    /// The model `a`, whose v2 forgot a row of v1, in a daemon with this configuration.
    private func prepared(_ configuration: String) throws -> (files: CliRun, daemon: RunningDaemon) {
        let files = try CliRun()
        let daemon = try RunningDaemon(["--config", try files.write(configuration, to: "c.yaml")])
        for (name, seed) in [("a", UInt64(1)), ("b", 2)] {
            let directory = "\(daemon.directory)/\(name)"
            try SyntheticCheckpoint(seed: seed, matrices: 2, side: 64).write(to: directory)
            #expect(try daemon.ctl(["model", "import", name, directory]).status == 0)
        }
        let forget = try files.write("{\"text\": \"a row to forget\"}\n", to: "f.jsonl")
        let job = try daemon.ctl([
            "submit", "task-vector", "--model", "a", "--finetuned", "b", "--forget", forget, "--no-evaluate",
            "--wait",
        ])
        #expect(job.status == 0, "\(job.stderr)")
        return (files, daemon)
    }

    @Test func `a version that knows is exported and rolled back to only with a reason, and that is audited`()
        throws
    {
        let (files, daemon) = try prepared("restrict_versions_that_know: true\n")
        let refused = try daemon.ctl(["rollback", "a", "--to", "v1"])
        #expect(refused.status == 64 && refused.stderr.contains("job 3"), "\(refused.stderr)")
        #expect(try daemon.ctl(["promote", "a@v1", "--reason", " "]).status == 64)
        let out = files.directory + "/out"
        let export = try daemon.ctl(["model", "export", "a@v1", out])
        #expect(export.status == 64 && export.stderr.contains("--reason"), "\(export.stderr)")
        #expect(access(out, F_OK) != 0)
        #expect(try daemon.ctl(["model", "export", "b@v1", out]).status == 0, "the head of b")
        #expect(try daemon.ctl(["model", "export", "a", out + "2"]).status == 0)
        #expect(try daemon.ctl(["generate", "a@v1", "--prompt", "x"]).status == 64)
        #expect(try daemon.ctl(["model", "export", "a@v1", out + "3", "--reason", "case Q-17"]).status == 0)
        #expect(try daemon.ctl(["rollback", "a", "--to", "v1", "--reason", "case Q-17"]).status == 0)
        // It is the head now, and what was made of it does not know.
        #expect(try daemon.ctl(["model", "export", "a", out + "4"]).status == 0)
        #expect(try daemon.ctl(["rollback", "a", "--to", "v2"]).status == 0)
        let audit = try daemon.ctl(["audit", "log", "--json"]).stdout
        #expect(audit.components(separatedBy: "version.restricted").count == 3, "\(audit)")
        #expect(!audit.contains("Q-17"))
        #expect(try daemon.ctl(["purge", "--job", "3", "--yes"]).status == 0)
        let jobs = try daemon.ctl(["ps", "--all", "--json"]).stdout
        #expect(!jobs.contains("Q-17"), "\(jobs)")
    }

    @Test(arguments: ["inside-head-move", "after-head-move"])
    func `the use of a version that knows and its audit row are there together or not at all`(point: String)
        throws
    {
        let (files, daemon) = try prepared("restrict_versions_that_know: true\n")
        defer { withExtendedLifetime(files) {} }
        #expect(try daemon.stop() == 0)
        try daemon.start(environment: ["UNLEARND_FAILPOINT": point])
        _ = try daemon.ctl(["rollback", "a", "--to", "v1", "--reason", "case Q-17"])
        #expect(try daemon.process?.wait(seconds: 30) == 128 + SIGKILL)
        try daemon.start()
        let isMoved = try daemon.ctl(["model", "show", "a", "--json"]).json["head"] == "v1"
        #expect(isMoved == (point == "after-head-move"))
        let rows = try daemon.ctl(["audit", "log", "--json"]).json.arrayValue ?? []
        #expect(rows.contains { $0["action"] == "version.restricted" } == isMoved)
        #expect(try daemon.ctl(["audit", "verify"]).status == 0)
    }

    @Test(arguments: ["inside-submit", "after-submit"])
    func `so are a job that reads it and its audit row`(point: String) throws {
        let (files, daemon) = try prepared("restrict_versions_that_know: true\n")
        defer { withExtendedLifetime(files) {} }
        #expect(try daemon.stop() == 0)
        try daemon.start(environment: ["UNLEARND_FAILPOINT": point])
        _ = try daemon.ctl(["generate", "a@v1", "--prompt", "x", "--reason", "case Q-17"])
        #expect(try daemon.process?.wait(seconds: 30) == 128 + SIGKILL)
        try daemon.start()
        let session = try daemon.session()
        let jobs: [Job] = try session.result("job.list", ["all": true])
        let isQueued = jobs.contains { $0.kind == .generate }
        #expect(isQueued == (point == "after-submit"))
        let rows = try daemon.ctl(["audit", "log", "--json"]).json.arrayValue ?? []
        let used = rows.filter { $0["action"] == "version.restricted" }
        #expect(used.count == (isQueued ? 1 : 0))
        if isQueued { #expect(used.first?["body"]?["job"]?.integerValue == jobs.last.map { Int64($0.id) }) }
    }

    @Test func `without the key nothing is restricted`() throws {
        let (files, daemon) = try prepared("# nothing\n")
        #expect(try daemon.ctl(["model", "export", "a@v1", files.directory + "/out"]).status == 0)
        #expect(try daemon.ctl(["rollback", "a", "--to", "v1"]).status == 0)
    }

    @Test(arguments: ["99.99%", "1000000TiB"])
    func `below the floor nothing is written, and what frees space goes on`(floor: String) throws {
        let (files, daemon) = try prepared("# nothing\n")
        try daemon.stop()
        _ = try files.write("free_space_floor: \(floor)\n", to: "c.yaml")
        try daemon.start()
        let edit = ["submit", "task-vector", "--model", "a", "--finetuned", "b", "--no-evaluate"]
        let refused = try daemon.ctl(edit)
        #expect(refused.status == 74 && refused.stderr.contains("free_space_floor"), "\(refused.stderr)")
        #expect(try daemon.ctl(edit + ["--dry-run"]).status == 74)
        #expect(try daemon.ctl(["model", "import", "c", daemon.directory + "/a"]).status == 74)
        #expect(try daemon.ctl(["model", "export", "a", files.directory + "/out"]).status == 0)
        #expect(try daemon.ctl(["store", "gc"]).status == 0)
        #expect(try daemon.ctl(["rollback", "a", "--to", "v1"]).status == 0)
        #expect(try daemon.ctl(["promote", "a@v2", "--reason", "again"]).status == 0)
        #expect(try daemon.ctl(["purge", "--job", "3", "--yes"]).status == 0)
    }

    @Test func `a floor and a switch that say nothing are refused`() throws {
        let files = try CliRun()
        for (text, words) in [
            ("free_space_floor: 100%", "share"), ("free_space_floor: -1", "number of bytes"),
            ("free_space_floor: much", "number of bytes"),
            ("restrict_versions_that_know: perhaps", "neither true"),
        ] {
            let errors = files.directory + "/errors"
            let process = try ChildProcess(
                Products.path("unlearnd"),
                [
                    "--config", try files.write(text + "\n", to: "c.yaml"), "--state-directory",
                    files.directory + "/state", "--socket", files.socket,
                ], environment: ["PATH": "/usr/bin:/bin"], output: files.directory + "/null", errors: errors)
            #expect(try process.wait(seconds: 30) == 78)
            #expect(try String(contentsOfFile: errors, encoding: .utf8).contains(words), "\(text)")
        }
    }
}
