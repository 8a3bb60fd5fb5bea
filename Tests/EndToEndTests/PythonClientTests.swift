// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// The client in Python that comes with the project: it shares no code with ours and needs nothing but the protocol's page.
@Suite(.timeLimit(.minutes(15)))
struct PythonClientTests {
    /// A run of the client against a daemon.
    private func run(_ daemon: RunningDaemon, _ words: String...) throws -> (
        status: Int32, stdout: String, stderr: String
    ) {
        let (output, errors) = (daemon.directory + "/py.out", daemon.directory + "/py.err")
        for file in [output, errors] { try? FileManager.default.removeItem(atPath: file) }
        let status = try ChildProcess(
            "/usr/bin/python3",
            [ExampleModel.directory + "/../client/unlearnd.py", "--socket", daemon.socket] + words,
            environment: ["PATH": "/usr/bin:/bin"], input: "/dev/null", output: output, errors: errors
        ).wait()
        return (
            status, try String(contentsOfFile: output, encoding: .utf8),
            try String(contentsOfFile: errors, encoding: .utf8)
        )
    }

    @Test func `a model goes in, forgets, and comes out`() throws {
        let daemon = try RunningDaemon()
        let created = try daemon.ctl([
            "model", "create", "m", "--config", ExampleModel.path("config.json"), "--tokenizer",
            ExampleModel.path("tokenizer.json"), "--seed", "1",
        ])
        #expect(created.status == 0, "\(created.stderr)")
        let (first, second) = (daemon.directory + "/first", daemon.directory + "/second")
        for directory in [first, second] {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        }
        #expect(try run(daemon, "export", "m@v1", first).status == 0)
        let imported = try run(daemon, "import", "n", first)
        #expect(imported.status == 0, "\(imported.stderr)")
        let digest = try StrictJSON.parse(imported.stdout)["digest"]
        #expect(try daemon.ctl(["model", "show", "m", "--json"]).json["digest"] == digest)

        // More than a chunk of data, so that the upload takes several, and the same again, which takes none.
        let rows = try ExampleModel.rows("train.jsonl", 4)
        let large = daemon.directory + "/large.jsonl"
        try String(repeating: rows, count: 1 + 1_200_000 / rows.utf8.count).write(
            toFile: large, atomically: false, encoding: .utf8)
        for _ in 0..<2 {
            let uploaded = try run(daemon, "upload", large).stdout.trimmingCharacters(in: .newlines)
            #expect(
                try daemon.ctl(["dataset", "show", uploaded, "--json"]).json["dataset"]?.stringValue
                    == uploaded)
        }
        let (forget, retain) = (daemon.directory + "/f.jsonl", daemon.directory + "/r.jsonl")
        try ExampleModel.rows("forget.jsonl", 4).write(toFile: forget, atomically: false, encoding: .utf8)
        try ExampleModel.rows("retain.jsonl", 4).write(toFile: retain, atomically: false, encoding: .utf8)
        let refused = try run(
            daemon, "forget", "n", "ascent", forget, retain, "epochs=1", "learning_rate=0.001",
            "batch_size=2",
            "gate=forget<=-1")
        #expect(refused.status == 2 && refused.stderr.contains("gate"), "\(refused.stderr)")
        let missed = try run(
            daemon, "forget", "n", "ascent", forget, retain, "epochs=1", "learning_rate=0.001",
            "batch_size=2",
            "gate=retain>=1")
        #expect(missed.status == 1, "\(missed.stderr)")
        let job = try StrictJSON.parse(missed.stdout)
        #expect(job["state"] == "succeeded" && job["gate"]?["passed"] == false && job["head_moved"] == false)
        #expect(missed.stderr.contains("\nevaluation {") && missed.stderr.contains("\ngate {"))

        #expect(try run(daemon, "export", "n@v1", second).status == 0)
        #expect(
            FileManager.default.contentsEqual(
                atPath: first + "/model.safetensors", andPath: second + "/model.safetensors"))
        // Nothing is written over.
        let again = try run(daemon, "export", "n@v1", second)
        #expect(again.status == 2 && again.stderr.contains("File exists"))
    }

    @Test func `what the daemon refuses is said with its remedy`() throws {
        let daemon = try RunningDaemon()
        #expect(try StrictJSON.parse(run(daemon, "call", "system.ping").stdout)["time"] != nil)
        for (words, part) in [
            (["call", "model.lst"], "did you mean model.list?"),
            (["call", "job.show", #"{"job": 99}"#], "there is no job 99"),
            (["call", "job.submit", #"{"spec": {"kind": "ascnt", "model": "m"}}"#], "ascent"),
        ] {
            let output = try run(daemon, words[0], words[1], words.count > 2 ? words[2] : "{}")
            #expect(
                output.status == 2 && output.stdout.isEmpty && output.stderr.contains(part),
                "\(output.stderr)")
        }
        #expect(try run(daemon, "forget", "m").status == 2)
    }
}
