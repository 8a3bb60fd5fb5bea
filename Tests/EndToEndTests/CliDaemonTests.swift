// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

@Suite struct `The client with a daemon` {
    let daemon: RunningDaemon
    init() throws { daemon = try RunningDaemon() }

    /// A file with one row, and the same row's text.
    private func dataset(_ name: String, _ text: String = "{\"text\": \"a b c\"}\n") throws -> String {
        let path = "\(daemon.directory)/\(name)"
        try text.write(toFile: path, atomically: false, encoding: .utf8)
        return path
    }

    /// A directory that can be imported: one small tensor.
    private func model(_ name: String = "model") throws -> String {
        let path = "\(daemon.directory)/\(name)"
        try FileManager.default.createDirectory(atPath: path + "/sub", withIntermediateDirectories: true)
        try "{\"model_type\": \"test\"}".write(
            toFile: path + "/config.json", atomically: false, encoding: .utf8)
        try "read me\n".write(toFile: path + "/sub/README", atomically: false, encoding: .utf8)
        let header = #"{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#
        let padded = header + String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
        var bytes =
            withUnsafeBytes(of: UInt64(padded.utf8.count).littleEndian) { Array($0) } + Array(padded.utf8)
        for value in [1, -2, 0.5, 3] as [Float] {
            bytes += withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
        }
        try Data(bytes).write(to: URL(fileURLWithPath: path + "/model.safetensors"))
        return path
    }

    @Test func `takes global options before and after the verb`() throws {
        let before = try daemon.ctl(["--json", "system", "info"])
        let after = try daemon.ctl(["system", "info", "--json"])
        let between = try daemon.ctl(["system", "--json", "info"])
        for outcome in [before, after, between] {
            #expect(outcome.status == 0)
            #expect(try outcome.json["pid"] == .integer(Int64(daemon.process?.pid ?? 0)))
        }
    }

    @Test func `writes one JSON value for each list`() throws {
        let lists = [
            ["ps"], ["model", "list"], ["dataset", "list"], ["audit", "log"], ["store", "status"],
            ["queue", "status"],
            ["system", "ping"], ["system", "schema"], ["audit", "verify"],
        ]
        for list in lists {
            let outcome = try daemon.ctl(list + ["--json"])
            #expect(outcome.status == 0, "\(list): \(outcome.stderr)")
            #expect(outcome.stdout.filter { $0 == "\n" }.count == 1)
            _ = try outcome.json
        }
    }

    @Test(arguments: [
        ["show", "99"], ["cancel", "99"], ["logs", "99"], ["wait", "99"], ["model", "show", "nobody"],
        ["generate", "nobody", "--prompt", "x"],
    ])
    func `tells what is not there`(_ arguments: [String]) throws {
        let outcome = try daemon.ctl(arguments)
        #expect(outcome.status == ExitCode.notFound.rawValue, "\(outcome.stderr)")
        #expect(outcome.stderr.hasPrefix("unlearnctl: "))
        #expect(outcome.stdout.isEmpty)
    }

    @Test func `gives every file back byte for byte`() throws {
        let source = try model()
        let imported = try daemon.ctl(["model", "import", "m", source, "--quiet"])
        #expect(imported.status == 0, "\(imported.stderr)")
        #expect(imported.stdout == "m@v1\n")
        let target = daemon.directory + "/back"
        let exported = try daemon.ctl(["model", "export", "m@v1", target])
        #expect(exported.status == 0, "\(exported.stderr)")
        for file in ["config.json", "model.safetensors", "sub/README"] {
            #expect(
                FileManager.default.contentsEqual(atPath: "\(source)/\(file)", andPath: "\(target)/\(file)"))
        }
        let again = try daemon.ctl(["model", "export", "m", target])
        #expect(again.status == ExitCode.badInput.rawValue)
        let left = try FileManager.default.contentsOfDirectory(atPath: daemon.directory)
        #expect(!left.contains { $0.hasPrefix(".unlearnctl-export") })
        let shown = try daemon.ctl(["model", "show", "m"])
        #expect(shown.status == 0, "\(shown.stderr)")
        #expect(shown.stdout.contains("sub/README"))
        #expect(
            try daemon.ctl(["model", "history", "m", "--json"]).json.arrayValue?.first?["version"] == "v1")
        #expect(try daemon.ctl(["store", "verify", "--json"]).json["valid"] == true)
    }

    @Test func `exports without waiting into a directory that the job completes`() throws {
        let source = try model()
        #expect(try daemon.ctl(["model", "import", "m", source]).status == 0)
        let target = daemon.directory + "/detached"
        let outcome = try daemon.ctl(["model", "export", "m", target, "--detach", "--quiet"])
        #expect(outcome.status == 0, "\(outcome.stderr)")
        let job = outcome.stdout.trimmingCharacters(in: .whitespacesAndNewlines)
        #expect(try daemon.ctl(["wait", job, "--timeout", "60"]).status == 0)
        for file in ["config.json", "model.safetensors", "sub/README"] {
            #expect(
                FileManager.default.contents(atPath: "\(target)/\(file)")
                    == FileManager.default.contents(atPath: "\(source)/\(file)"))
        }
        #expect(
            try daemon.ctl(["model", "export", "m", target, "--detach"]).status == ExitCode.badInput.rawValue)
    }

    @Test func `reports a damaged file of weights as bad input`() throws {
        let source = try model()
        try "short".write(toFile: source + "/model.safetensors", atomically: false, encoding: .utf8)
        let outcome = try daemon.ctl(["model", "import", "m", source])
        #expect(outcome.status == ExitCode.badInput.rawValue)
        #expect(outcome.stderr.contains("model.safetensors"))
        #expect(try daemon.ctl(["model", "list", "--json"]).json == [])
    }

    @Test func `queues, holds, releases and cancels`() throws {
        _ = try daemon.ctl(["model", "import", "m", try model(), "--quiet"])
        #expect(try daemon.ctl(["queue", "pause"]).status == 0)
        let forget = try dataset("forget.jsonl")
        let evaluate = ["submit", "evaluate", "--model", "m", "--forget", forget]
        let first = try daemon.ctl(
            evaluate + ["--quiet", "--hold", "--label", "request=4711", "--note", "for 4711"])
        #expect(first.status == 0, "\(first.stderr)")
        let id = first.stdout.trimmingCharacters(in: .newlines)
        let shown = try daemon.ctl(["show", id, "--json"]).json
        #expect(shown["state"] == "held")
        #expect(shown["labels"]?["request"] == "4711")
        #expect(try daemon.ctl(["release", id]).stdout.contains("queued"))
        #expect(try daemon.ctl(["ps", "--json", "--state", "queued"]).json.arrayValue?.count == 1)
        let late = try daemon.ctl(["wait", id, "--timeout", "1s"])
        #expect(late.status == ExitCode.timedOut.rawValue)
        #expect(try daemon.ctl(["cancel", id]).status == 0)
        #expect(try daemon.ctl(["wait", id]).status == ExitCode.cancelledOrLost.rawValue)
        let text = try daemon.ctl(["report", id])
        #expect(text.status == 0)
        #expect(text.stdout.contains("for 4711"))
    }

    @Test func `finds the same job by its key, and refuses another under it`() throws {
        _ = try daemon.ctl(["model", "import", "m", try model(), "--quiet"])
        _ = try daemon.ctl(["queue", "pause"])
        let forget = try dataset("forget.jsonl")
        let job = ["submit", "evaluate", "--model", "m", "--forget", forget, "--key", "k", "--quiet"]
        let first = try daemon.ctl(job)
        let second = try daemon.ctl(job)
        #expect(first.status == 0 && second.status == 0)
        #expect(first.stdout == second.stdout)
        #expect(try daemon.ctl(job + ["--seed", "5"]).status == ExitCode.conflict.rawValue)
    }

    @Test func `stores a dataset that is larger than one chunk, once`() throws {
        _ = try daemon.ctl(["model", "import", "m", try model(), "--quiet"])
        let row = "{\"text\": \"\(String(repeating: "word ", count: 200))\"}\n"
        let set = try dataset("set.jsonl", String(repeating: row, count: 1500))
        let job = ["submit", "evaluate", "--model", "m", "--retain", set, "--dry-run", "--json"]
        for _ in 0..<2 {
            let outcome = try daemon.ctl(job)
            #expect(outcome.status == 0, "\(outcome.stderr)")
        }
        let sets = try daemon.ctl(["dataset", "list", "--json"]).json.arrayValue ?? []
        #expect(sets.count == 1)
        #expect(sets.first?["rows"] == 1500)
        let digest = try #require(sets.first?["dataset"]?.stringValue)
        let byID = ["submit", "evaluate", "--model", "m", "--retain", "sha256:" + digest, "--dry-run"]
        #expect(try daemon.ctl(byID).status == 0)
        let row1 = try daemon.ctl(
            ["submit", "evaluate", "--model", "m", "--forget", "-", "--dry-run"], input: row)
        #expect(row1.status == 0)
    }

    @Test func `waits on through a restart of the daemon`() throws {
        _ = try daemon.ctl(["model", "import", "m", try model(), "--quiet"])
        _ = try daemon.ctl(["queue", "pause"])
        let forget = try dataset("forget.jsonl")
        let id = try daemon.ctl(["submit", "evaluate", "--model", "m", "--forget", forget, "--quiet"])
            .stdout.trimmingCharacters(in: .newlines)
        let errors = daemon.directory + "/wait.err"
        let waiting = try ChildProcess(
            Products.path("unlearnctl"), ["wait", id, "--json"],
            environment: ["UNLEARND_SOCKET": daemon.socket],
            output: daemon.directory + "/wait.out", errors: errors)
        func said(_ text: String) -> Bool {
            (try? String(contentsOfFile: errors, encoding: .utf8))?.contains(text) == true
        }
        try daemon.eventually("the client waits") { said("job \(id)") }
        try daemon.kill()
        try daemon.eventually("the client notices") { said("is gone") }
        try daemon.start()
        try daemon.eventually("the client is back") { said("connected to unlearnd again") }
        #expect(try daemon.ctl(["cancel", id]).status == 0)
        #expect(try waiting.wait() == ExitCode.cancelledOrLost.rawValue)
        let result = try StrictJSON.parse(
            String(contentsOfFile: daemon.directory + "/wait.out", encoding: .utf8))
        #expect(result["state"] == "cancelled")
    }

    @Test func `leaves a job alone when the wait is interrupted`() throws {
        _ = try daemon.ctl(["model", "import", "m", try model(), "--quiet"])
        _ = try daemon.ctl(["queue", "pause"])
        let errors = daemon.directory + "/wait.err"
        let waiting = try ChildProcess(
            Products.path("unlearnctl"),
            ["submit", "evaluate", "--model", "m", "--forget", try dataset("f.jsonl"), "--wait"],
            environment: ["UNLEARND_SOCKET": daemon.socket], output: daemon.directory + "/wait.out",
            errors: errors)
        func said() -> String { (try? String(contentsOfFile: errors, encoding: .utf8)) ?? "" }
        try daemon.eventually("the client waits") { said().contains("queue-paused") }
        waiting.signal(SIGINT)
        #expect(try waiting.wait() == ExitCode.detached.rawValue)
        #expect(said().contains("unlearnctl cancel"))
        #expect(try daemon.ctl(["ps", "--json", "--state", "queued"]).json.arrayValue?.count == 1)
    }

    @Test func `writes events as JSON lines and ends`() throws {
        _ = try daemon.ctl(["queue", "pause"])
        let outcome = try daemon.ctl(["events", "--json"])
        #expect(outcome.status == 0)
        let events = try outcome.stdout.split(separator: "\n").map { try StrictJSON.parse(String($0)) }
        #expect(events.map { $0["type"] } == ["started", "queue"])
        let later = try daemon.ctl(["events", "--json", "--since", "2"])
        #expect(later.stdout.split(separator: "\n").count == 1)
    }
}
