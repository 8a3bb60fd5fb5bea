// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// Import, edit, look, roll back, export: the life of weights that no engine could run.
@Suite(.timeLimit(.minutes(15)))
struct MainJobTests {
    private func run(_ daemon: RunningDaemon, _ arguments: String...) throws -> RunningDaemon.Output {
        let output = try daemon.ctl(arguments)
        #expect(output.status == 0, "\(arguments): \(output.stderr)")
        return output
    }

    private func imported(
        _ daemon: RunningDaemon, _ name: String, _ checkpoint: SyntheticCheckpoint, shards: Int = 1
    )
        throws -> String
    {
        let directory = "\(daemon.directory)/\(name)"
        try checkpoint.write(to: directory, shards: shards)
        _ = try run(daemon, "model", "import", name, directory)
        return directory
    }

    @Test(arguments: [1, 3])
    func `what was imported comes back byte for byte`(shards: Int) throws {
        let daemon = try RunningDaemon()
        var checkpoint = SyntheticCheckpoint(seed: 7, matrices: 5, side: 512)
        checkpoint.tensors.append(.init("counts", "I64", [3], Array(repeating: 5, count: 24)))
        checkpoint.tensors.append(.init("nothing", "F32", [0, 4], []))
        checkpoint.sideFiles["tokenizer_config.json"] = "{ \"odd\":  1 }\n"
        checkpoint.sideFiles["README.md"] = "# A model\n"
        let source = try imported(daemon, "m", checkpoint, shards: shards)
        _ = try run(daemon, "model", "export", "m@v1", daemon.directory + "/exported")
        #expect(try directoryContents(source) == directoryContents(daemon.directory + "/exported"))
    }

    @Test func `equal chunks are stored once, and the status counts them`() throws {
        let daemon = try RunningDaemon()
        let checkpoint = SyntheticCheckpoint(seed: 3, matrices: 4, side: 1024)
        _ = try imported(daemon, "one", checkpoint)
        let first = try run(daemon, "store", "status", "--json").json
        _ = try imported(daemon, "two", checkpoint, shards: 2)
        let second = try run(daemon, "store", "status", "--json").json
        let grown = (second["stored_bytes"]?.integerValue ?? 0) - (first["stored_bytes"]?.integerValue ?? 0)
        #expect(first["raw_bytes"]?.integerValue ?? 0 >= 4 * 1024 * 1024 * 2)
        #expect(grown >= 0 && grown < 20_000, "the second model has only headers of its own")
        #expect(second["versions"] == 2)
    }

    @Test func `a task vector is subtracted, seen by diff, rolled back and promoted`() throws {
        let daemon = try RunningDaemon()
        _ = try imported(daemon, "target", SyntheticCheckpoint(seed: 1, matrices: 3, side: 256))
        _ = try imported(daemon, "tuned", SyntheticCheckpoint(seed: 2, matrices: 3, side: 256))
        let job = try run(
            daemon, "submit", "task-vector", "--model", "target", "--finetuned", "tuned", "--wait", "--json"
        ).json
        #expect(job["state"] == "succeeded")
        #expect(job["base"] == "v1" && job["version"] == "v2")
        #expect(job["head_moved"] == true)
        #expect(job["head_reason"] == .null)
        let rows = try run(daemon, "model", "diff", "target@v1", "target@v2", "--json").json.arrayValue ?? []
        #expect(rows.count == 3)
        #expect(rows.allSatisfy { $0["changed"] == true && ($0["l2"]?.doubleValue ?? 0) > 0 })
        _ = try run(daemon, "rollback", "target", "--to", "v1")
        var history = try run(daemon, "model", "history", "target", "--json").json.arrayValue ?? []
        #expect(history.first { $0["version"] == "v1" }?["head"] == true)
        _ = try run(daemon, "promote", "target@v2", "--reason", "reviewed")
        history = try run(daemon, "model", "history", "target", "--json").json.arrayValue ?? []
        #expect(history.first { $0["version"] == "v2" }?["head"] == true)
        #expect(history.count == 2)
    }

    @Test func `the direction of an adapter is subtracted, and one of another model is refused by name`()
        throws
    {
        let daemon = try RunningDaemon()
        var checkpoint = SyntheticCheckpoint(seed: 1, matrices: 1, side: 128)
        checkpoint.tensors.append(
            .init("model.a.weight", "F32", [2, 3], [Float](repeating: 1, count: 6).littleEndianBytes))
        _ = try imported(daemon, "target", checkpoint)
        let folder = daemon.directory + "/adapter"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        func write(_ module: String) throws {
            try SyntheticCheckpoint.write(
                SyntheticCheckpoint.safetensors([
                    .init(
                        "base_model.model.\(module).lora_A.weight", "F32", [1, 3],
                        [Float]([1, 2, 3]).littleEndianBytes),
                    .init(
                        "base_model.model.\(module).lora_B.weight", "F32", [2, 1],
                        [Float]([10, 20]).littleEndianBytes),
                ]), folder + "/adapter_model.safetensors")
            try SyntheticCheckpoint.write(
                Array(#"{"peft_type": "LORA", "r": 1, "lora_alpha": 2, "bias": "none"}"#.utf8),
                folder + "/adapter_config.json")
        }
        func submit() throws -> RunningDaemon.Output {
            try daemon.ctl([
                "submit", "task-vector", "--model", "target", "--adapter", folder, "--scale", "0.5", "--wait",
                "--json",
            ])
        }
        try write("model.a")
        let job = try submit()
        #expect(job.status == 0, "\(job.stderr)")
        #expect(try job.json["version"] == "v2")
        _ = try run(daemon, "model", "export", "target@v2", daemon.directory + "/exported")
        let data = try Data(contentsOf: URL(filePath: daemon.directory + "/exported/model.safetensors"))
        // 1 − 0.5 · 2/1 · B · A
        let expected: [Float] = [-9, -19, -29, -19, -39, -59]
        #expect(Array(data.suffix(24)) == expected.littleEndianBytes)
        try write("model.b")
        let refused = try submit()
        #expect(
            refused.status == 1 && (refused.stdout + refused.stderr).contains("model.b"), "\(refused.stderr)")
    }

    @Test func `an edit of a version that is not head is kept as a candidate`() throws {
        let daemon = try RunningDaemon()
        _ = try imported(daemon, "target", SyntheticCheckpoint(seed: 1, matrices: 2, side: 128))
        _ = try imported(daemon, "tuned", SyntheticCheckpoint(seed: 2, matrices: 2, side: 128))
        _ = try run(daemon, "submit", "task-vector", "--model", "target", "--finetuned", "tuned", "--wait")
        let job = try run(
            daemon, "submit", "task-vector", "--model", "target@v1", "--finetuned", "tuned", "--scale", "0.5",
            "--wait",
            "--json"
        ).json
        #expect(job["head_moved"] == false)
        #expect(job["head_reason"] == "base-not-head")
        let history = try run(daemon, "model", "history", "target", "--json").json.arrayValue ?? []
        #expect(history.first { $0["version"] == "v3" }?["candidate"] == true)
        #expect(history.first { $0["version"] == "v2" }?["head"] == true)
    }

    @Test func `an edit that changes nothing fails as no-op`() throws {
        let daemon = try RunningDaemon()
        _ = try imported(daemon, "m", SyntheticCheckpoint(seed: 1, matrices: 2, side: 128))
        let output = try daemon.ctl([
            "submit", "task-vector", "--model", "m", "--finetuned", "m", "--wait", "--json",
        ])
        #expect(output.status == 1)
        #expect(try output.json["error"]?["kind"] == "no-op")
        let history = try run(daemon, "model", "history", "m", "--json").json.arrayValue
        #expect(history?.count == 1)
    }

    @Test func `the same edit twice gives the same bytes`() throws {
        let daemon = try RunningDaemon()
        _ = try imported(daemon, "target", SyntheticCheckpoint(seed: 1, matrices: 3, side: 300))
        _ = try imported(daemon, "tuned", SyntheticCheckpoint(seed: 9, matrices: 3, side: 300))
        let digests = try (0..<2).map { _ in
            try run(
                daemon, "submit", "task-vector", "--model", "target@v1", "--finetuned", "tuned", "--wait",
                "--json"
            ).json["digest"]
        }
        #expect(digests[0] != nil && digests[0] == digests[1])
    }

    @Test func `a dry run says what it would need and does nothing`() throws {
        let daemon = try RunningDaemon()
        _ = try imported(daemon, "m", SyntheticCheckpoint(seed: 1, matrices: 2, side: 128))
        _ = try imported(daemon, "t", SyntheticCheckpoint(seed: 2, matrices: 2, side: 128))
        let output = try run(
            daemon, "submit", "task-vector", "--model", "m", "--finetuned", "t", "--dry-run", "--json")
        #expect(try output.json["estimate"]?["memory"]?.integerValue ?? 0 > 0)
        let jobs = try run(daemon, "ps", "--json").json.arrayValue ?? []
        #expect(jobs.allSatisfy { $0["kind"] != "task-vector" })
    }

    @Test func `garbage is what no version uses, and collecting it frees just what was said`() throws {
        let daemon = try RunningDaemon()
        _ = try imported(daemon, "m", SyntheticCheckpoint(seed: 1, matrices: 2, side: 512))
        // What a killed worker leaves behind: a sound object that no manifest names.
        let bad = daemon.directory + "/bad"
        var broken = SyntheticCheckpoint(seed: 5, matrices: 3, side: 512)
        broken.tensors.append(.init("layer.0.weight2", "F32", [1], [0, 0, 0, 0]))
        try broken.write(to: bad)
        _ = try daemon.ctl(["model", "import", "other", bad])
        let planned = try run(daemon, "store", "gc", "--dry-run", "--json").json
        let done = try run(daemon, "store", "gc", "--json").json
        #expect(planned["bytes"] == done["bytes"] && planned["objects"] == done["objects"])
        #expect(try run(daemon, "store", "gc", "--json").json["objects"] == 0)
        #expect(try run(daemon, "store", "verify", "--json").json["valid"] == true)
    }
}

extension [Float] {
    fileprivate var littleEndianBytes: [UInt8] {
        flatMap { value in Swift.withUnsafeBytes(of: value.bitPattern.littleEndian) { [UInt8]($0) } }
    }
}
