// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

@Suite struct `The client without a daemon` {
    let cli: CliRun
    init() throws { cli = try CliRun() }

    @Test func `says where nothing listens and what to do`() throws {
        let outcome = try cli.run(["ps"])
        #expect(outcome.status == ExitCode.notReachable.rawValue)
        #expect(outcome.stdout.isEmpty)
        #expect(outcome.stderr.contains(cli.socket))
        #expect(outcome.stderr.contains("No such file"))
        #expect(outcome.stderr.contains("unlearnd run"))
    }

    @Test func `tells a socket that nobody serves from one that is not there`() throws {
        do { _ = try SilentListener(cli.socket) }
        let outcome = try cli.run(["system", "ping"])
        #expect(outcome.status == ExitCode.notReachable.rawValue)
        #expect(outcome.stderr.contains("Connection refused"))
    }

    @Test func `does not wait for a daemon that accepts and says nothing`() throws {
        let listener = try SilentListener(cli.socket)
        let outcome = try cli.run(["--json", "system", "info"])
        withExtendedLifetime(listener) {}
        #expect(outcome.status == ExitCode.notReachable.rawValue)
        #expect(outcome.stderr.contains("accepted the connection but does not answer"))
        #expect(outcome.stdout.isEmpty)
    }

    @Test(arguments: [
        "SSH-2.0-OpenSSH\r\n", "{}\n", "{\"jsonrpc\":\"2.0\",\"method\":\"hello\",\"params\":{}}\n",
    ])
    func `refuses what is not unlearnd`(_ greeting: String) throws {
        let listener = try SilentListener(cli.socket)
        listener.say(greeting)
        let outcome = try cli.run(["ps"])
        #expect(outcome.status == ExitCode.protocolMismatch.rawValue)
    }

    @Test func `ends reading where a line has no end`() throws {
        let listener = try SilentListener(cli.socket)
        listener.say(String(repeating: "x", count: 5 << 20))
        let outcome = try cli.run(["ps"])
        #expect(outcome.status == ExitCode.protocolMismatch.rawValue)
        #expect(outcome.stderr.contains("4194304"))
    }

    @Test func `names the limit of a socket's path`() throws {
        let outcome = try cli.run(["--socket", "/tmp/" + String(repeating: "s", count: 120), "ps"])
        #expect(outcome.status == ExitCode.configuration.rawValue)
        #expect(outcome.stderr.contains("107"))
    }

    @Test(arguments: [
        ["--help"], ["submit", "ascent", "--help"], ["model", "import", "--help"], ["--version"],
        ["--json", "ps", "--help"],
    ])
    func `explains itself without touching the socket`(_ arguments: [String]) throws {
        let outcome = try cli.run(arguments, environment: ["UNLEARND_SOCKET": "/proc/nowhere"])
        #expect(outcome.status == 0)
        #expect(!outcome.stdout.isEmpty)
        #expect(outcome.stderr.isEmpty)
    }

    @Test func `lists the methods when one is unknown`() throws {
        let outcome = try cli.run(["submit", "unlearn", "--model", "m"])
        #expect(outcome.status == ExitCode.usage.rawValue)
        for method in ["ascent", "task-vector", "finetune", "evaluate"] {
            #expect(outcome.stderr.contains(method))
        }
    }

    @Test(arguments: [
        ["pss"], ["model", "imprt", "x"], ["submit", "ascent", "--epochs", "x"], ["rollback", "m"],
        ["rollback", "m", "--to", "1"], ["promote", "m", "--reason", "x"], ["show", "zero"], ["wait"],
        ["submit", "evaluate", "--model", "a b", "--forget", "x"], ["tokenize", "m"],
        ["ps", "--state", "sleeping"], ["ps", "--limit", "0"], [], ["submit"], ["--json", "model"],
    ])
    func `takes wrong usage for wrong usage`(_ arguments: [String]) throws {
        let outcome = try cli.run(arguments)
        #expect(outcome.status == ExitCode.usage.rawValue)
        #expect(!outcome.stderr.isEmpty)
        #expect(outcome.stdout.isEmpty)
    }

    @Test(arguments: [
        ["ascent", "--learning-rate", "nan"], ["ascent", "--alpha", "inf"],
        ["ascent", "--max-forget-loss", "infinity"], ["task-vector", "--scale", "nan"],
    ])
    func `takes finite numbers only`(_ arguments: [String]) throws {
        let outcome = try cli.run(["submit"] + arguments)
        #expect(outcome.status == ExitCode.usage.rawValue)
        #expect(outcome.stderr.contains("finite"))
    }

    @Test func `passes on that the daemon does not serve this user`() throws {
        let listener = try SilentListener(cli.socket)
        let refusal = RPCError(.permissionDenied, "user 7 is not served by this daemon")
        listener.say(String(decoding: RPCMessage.failure(id: nil, refusal), as: UTF8.self))
        let outcome = try cli.run(["ps"])
        #expect(outcome.status == ExitCode.notPermitted.rawValue)
        #expect(outcome.stderr.contains("user 7 is not served"))
    }

    @Test func `suggests the command that was meant`() throws {
        #expect(try cli.run(["reprot", "1"]).stderr.contains("did you mean report?"))
    }

    @Test func `finds a fault in a dataset before anything is asked`() throws {
        let forget = try cli.write("{\"text\": \"a b\"}\n{\"txt\": \"c\"}\n", to: "forget.jsonl")
        let outcome = try cli.run(["submit", "evaluate", "--model", "m", "--forget", forget])
        #expect(outcome.status == ExitCode.badInput.rawValue)
        #expect(outcome.stderr.contains("forget.jsonl, line 2"))
    }

    @Test func `refuses an empty forget set`() throws {
        let forget = try cli.write("\n\n", to: "forget.jsonl")
        let outcome = try cli.run(["submit", "evaluate", "--model", "m", "--forget", forget])
        #expect(outcome.status == ExitCode.badInput.rawValue)
        #expect(outcome.stderr.contains("no rows"))
    }

    @Test(arguments: [
        ("forgt=good", "forget=good"), ("privacy=minimal", "--holdout"), ("forget~0.05", "--reference"),
    ])
    func `refuses a gate that is misspelled or lacks its data`(_ gate: String, _ remedy: String) throws {
        let set = try cli.write("{\"text\": \"a b\"}\n", to: "set.jsonl")
        let arguments = [
            "submit", "ascent", "--model", "m", "--forget", set, "--retain", set, "--gate", gate,
        ]
        let outcome = try cli.run(arguments)
        #expect(outcome.status == ExitCode.usage.rawValue)
        #expect(outcome.stderr.contains(remedy))
    }

    @Test func `refuses a specification with a member that does not exist`() throws {
        let spec = try cli.write("{\"model\": \"m\", \"parameters\": {\"epoch\": 3}}", to: "spec.json")
        let outcome = try cli.run(["submit", "ascent", "--spec", spec])
        #expect(outcome.status == ExitCode.badInput.rawValue)
        #expect(outcome.stderr.contains("epoch"))
    }

    @Test func `makes what could steer a terminal visible`() throws {
        let outcome = try cli.run(["\u{1B}[2Jps"])
        #expect(!outcome.stderr.contains("\u{1B}"))
    }
}

@Suite struct `A directory to import` {
    let cli: CliRun
    init() throws {
        cli = try CliRun()
        _ = try cli.write("{}", to: "config.json")
    }

    private func refusal() throws -> CliRun.Outcome { try cli.run(["model", "import", "m", cli.directory]) }

    @Test func `must be there`() throws {
        let outcome = try cli.run(["model", "import", "m", cli.directory + "/none"])
        #expect(outcome.status == ExitCode.badInput.rawValue)
        #expect(outcome.stderr.contains("No such file"))
    }

    @Test func `must hold safetensors`() throws {
        let outcome = try refusal()
        #expect(outcome.status == ExitCode.badInput.rawValue)
        #expect(outcome.stderr.contains("safetensors"))
    }

    @Test func `must not hold weights that would stay unedited`() throws {
        _ = try cli.write("x", to: "model.safetensors")
        _ = try cli.write("x", to: "pytorch_model.bin")
        let outcome = try refusal()
        #expect(outcome.status == ExitCode.badInput.rawValue)
        #expect(outcome.stderr.contains("--skip-other-weights"))
        let skipped = try cli.run(["model", "import", "--skip-other-weights", "m", cli.directory])
        #expect(skipped.status == ExitCode.notReachable.rawValue)
        #expect(skipped.stderr.contains("pytorch_model.bin"))
    }

    @Test func `must not lead out of itself`() throws {
        _ = try cli.write("x", to: "model.safetensors")
        symlink("/etc/hostname", cli.directory + "/tokenizer.json")
        let outcome = try refusal()
        #expect(outcome.status == ExitCode.badInput.rawValue)
        #expect(outcome.stderr.contains("tokenizer.json"))
        #expect(outcome.stderr.contains("/etc/hostname"))
    }

    @Test func `must not hold a pipe`() throws {
        _ = try cli.write("x", to: "model.safetensors")
        mkfifo(cli.directory + "/pipe", 0o600)
        #expect(try refusal().status == ExitCode.badInput.rawValue)
    }

    @Test func `may be a snapshot of a download cache`() throws {
        let files = FileManager.default
        let (blobs, snapshot) = (cli.directory + "/hub/blobs", cli.directory + "/hub/snapshots/abc")
        for folder in [blobs, snapshot] {
            try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
        }
        for (blob, name) in [("1", "config.json"), ("2", "model.safetensors")] {
            try "{}".write(toFile: "\(blobs)/\(blob)", atomically: false, encoding: .utf8)
            symlink("../../blobs/\(blob)", "\(snapshot)/\(name)")
        }
        // Good as far as the client can see: the daemon is what is missing.
        #expect(try cli.run(["model", "import", "m", snapshot]).status == ExitCode.notReachable.rawValue)
    }
}
