// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// Models that cannot be what their configuration says: a training job names the fault before it computes anything.
@Suite(.timeLimit(.minutes(15)))
struct ModelFaultTests {
    /// A safetensors file, taken apart.
    private struct Weights {
        var header: JSONObject
        var data: [UInt8]

        init(_ path: String) throws {
            let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
            let length = bytes.prefix(8).enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
            let json = try StrictJSON.parse(Array(bytes[8..<8 + length]))
            header = try #require(json.objectValue)
            data = Array(bytes[(8 + length)...])
        }

        func write(_ path: String) throws {
            let text = JSONValue.object(header).serializedString()
            try SyntheticCheckpoint.write(SyntheticCheckpoint.file(header: text, data: data), path)
        }
    }

    /// A daemon with the exported files of a randomly initialised model.
    private func prepared() throws -> (daemon: RunningDaemon, files: String) {
        let daemon = try RunningDaemon()
        let made = try daemon.ctl([
            "model", "create", "people", "--config", ExampleModel.path("config.json"),
            "--tokenizer", ExampleModel.path("tokenizer.json"),
            "--tokenizer-config", ExampleModel.path("tokenizer_config.json"), "--seed", "3",
        ])
        #expect(made.status == 0, "\(made.stderr)")
        for name in ["forget", "retain"] {
            try ExampleModel.rows("\(name).jsonl", 4).write(
                toFile: "\(daemon.directory)/\(name).jsonl", atomically: false, encoding: .utf8)
        }
        let files = daemon.directory + "/files"
        #expect(try daemon.ctl(["model", "export", "people", files]).status == 0)
        return (daemon, files)
    }

    /// Imports the files and trains on them; returns what the client says of the failure.
    private func refusal(
        _ daemon: RunningDaemon, _ model: String, _ files: String? = nil, _ more: [String] = []
    ) throws -> String {
        if let files {
            let imported = try daemon.ctl(["model", "import", model, files])
            // What is no model at all is not even imported.
            guard imported.status == 0 else { return imported.stderr }
        }
        let output = try daemon.ctl(
            [
                "submit", "ascent", "--model", model, "--forget", daemon.directory + "/forget.jsonl",
                "--retain", daemon.directory + "/retain.jsonl", "--epochs", "1", "--wait", "--json",
            ] + more)
        #expect(output.status != 0, "\(model)")
        guard output.status == 1 else { return output.stderr }
        let job = try output.json
        #expect(job["training"]?.arrayValue?.isEmpty ?? true, "\(model)")
        return "\(job["error"]?["message"]?.stringValue ?? "") \(job["error"]?["hint"]?.stringValue ?? "")"
    }

    @Test func `weights that are NaN or infinite are named with their number`() throws {
        let (daemon, files) = try prepared()
        let path = files + "/model.safetensors"
        var weights = try Weights(path)
        let name = try #require(weights.header.members.first { $0.key.hasSuffix("down_proj.weight") }?.key)
        let entry = try #require(weights.header[name])
        let start = Int(try #require(entry["data_offsets"]?.arrayValue?.first?.integerValue))
        let width = entry["dtype"] == "F32" ? 4 : 2
        // All bits set: not a number in any of the formats.
        for byte in start..<start + 3 * width { weights.data[byte] = 0xFF }
        try weights.write(path)
        let text = try refusal(daemon, "broken", files)
        #expect(text.contains("\(name) (3)"), "\(text)")
    }

    @Test func `a tensor that is missing and one that is too many are named`() throws {
        let (daemon, files) = try prepared()
        let path = files + "/model.safetensors"
        var weights = try Weights(path)
        let name = try #require(weights.header.members.first { $0.key.hasSuffix("up_proj.weight") }?.key)
        var header = JSONObject()
        for member in weights.header.members {
            header[member.key == name ? name + ".other" : member.key] = member.value
        }
        weights.header = header
        try weights.write(path)
        let text = try refusal(daemon, "incomplete", files)
        #expect(text.contains("lacks the tensor \(name)"), "\(text)")
        #expect(text.contains("\(name).other"), "\(text)")
    }

    @Test func `a wrong shape is named with the right one`() throws {
        let (daemon, files) = try prepared()
        let path = files + "/model.safetensors"
        var weights = try Weights(path)
        let name = try #require(weights.header.members.first { $0.key.hasSuffix("up_proj.weight") }?.key)
        var entry = try #require(weights.header[name]?.objectValue)
        let shape = try #require(entry["shape"]?.arrayValue)
        entry["shape"] = .array(shape.reversed())
        weights.header[name] = .object(entry)
        try weights.write(path)
        let text = try refusal(daemon, "turned", files)
        let sizes = shape.compactMap(\.integerValue)
        #expect(text.contains(name) && text.contains("\(sizes)"), "\(text)")
        #expect(text.contains("\(Array(sizes.reversed()))"), "\(text)")
    }

    @Test(arguments: [
        ("hidden_size", JSONValue.integer(1_000_000_000)), ("num_hidden_layers", .integer(-1)),
        ("num_attention_heads", .integer(0)), ("vocab_size", .integer(4_000_000_000_000)),
    ])
    func `an impossible size is named`(key: String, value: JSONValue) throws {
        let (daemon, files) = try prepared()
        let path = files + "/config.json"
        let json = try StrictJSON.parse([UInt8](Data(contentsOf: URL(fileURLWithPath: path))))
        var config = try #require(json.objectValue)
        config[key] = value
        try SyntheticCheckpoint.write(JSONValue.object(config).serialized(), path)
        let text = try refusal(daemon, "impossible", files)
        // What is too large for the memory is refused for that.
        #expect(
            text.contains(key) || text.contains("config.json") || text.contains("MiB of memory"), "\(text)")
    }

    @Test func `a row may not be longer than the model's context`() throws {
        let (daemon, _) = try prepared()
        let text = try refusal(daemon, "people", nil, ["--max-length", "100000"])
        #expect(text.contains("100000") && text.contains("--max-length"), "\(text)")
    }
}
