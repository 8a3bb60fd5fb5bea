// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Protocol
import Testing

/// A tiny model of the fixtures with what PyTorch computes from it.
struct GoldenModel {
    /// The committed models.
    static let names = [
        "gpt2", "llama-tied", "llama-scaled", "mistral", "qwen2", "qwen3", "neox-parallel", "neox-sequential",
        "phi", "phi-normed", "phi3", "phi3-long", "olmo", "olmo2", "gemma", "gemma2", "gemma3", "stablelm",
        "stablelm-parallel",
    ]

    /// The committed models and, as absolute paths, those that PyTorch has just made in `UNLEARN_MODEL_PARITY`.
    static let all: [String] = {
        guard let path = ProcessInfo.processInfo.environment["UNLEARN_MODEL_PARITY"] else { return names }
        let sizes = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names + sizes.sorted().flatMap { size in names.map { "\(path)/\(size)/\($0)" } }
    }()

    let name: String
    let configuration: ModelConfiguration
    let facts: JSONValue
    private let tensors: SafetensorsFixture

    init(_ name: String) throws {
        self.name = name
        let files =
            try name.hasPrefix("/") ? URL(filePath: name) : Self.fixtures().appending(path: "models/\(name)")
        configuration = try ModelConfiguration(
            json: Array(Data(contentsOf: files.appending(path: "config.json"))))
        facts = try StrictJSON.parse(Array(Data(contentsOf: files.appending(path: "golden.json"))))
        tensors = try SafetensorsFixture(files.appending(path: "golden.safetensors"))
    }

    static func fixtures() throws -> URL {
        try #require(Bundle.module.resourceURL).appending(path: "Fixtures")
    }

    /// The tensor `group/name`.
    func values(_ group: String, _ name: String) throws -> [Float] { try tensors.values("\(group)/\(name)") }

    var logits: [Float] { get throws { try tensors.values("logits") } }

    /// The names of the golden weights.
    var weightNames: Set<String> {
        Set(
            tensors.entries.keys.filter { $0.hasPrefix("weights/") }.map {
                String($0.dropFirst("weights/".count))
            })
    }

    /// A model with the golden weights.
    func load(
        threads: Int = 2, level: Int32? = nil, checkpointing: Bool = false, adapters: AdapterSettings? = nil,
        brain: BrainProducts? = nil
    ) throws -> Transformer {
        let model = try Transformer(
            configuration, context: ComputeContext(threads: threads, level: level, brain: brain),
            checkpointing: checkpointing, adapters: adapters)
        let names = tensors.entries.keys.filter { $0.hasPrefix("weights/") }.sorted()
        let bindings = try model.table.bind(
            names.map { (String($0.dropFirst("weights/".count)), tensors.entries[$0]?.shape ?? []) })
        for binding in bindings {
            let entry = model.table.entries[binding.entry]
            let source = try values("weights", binding.tensor)
            for (index, value) in source.enumerated() { model.parameters.base[entry.offset + index] = value }
        }
        return model
    }

    /// The `index`-th batch of "forget" or "retain".
    func batch(_ group: String, _ index: Int) throws -> TokenBatch {
        let batch = try #require(facts["batches"]?[group]?.arrayValue?[index])
        func integers(_ key: String) throws -> [Int64] {
            try #require(batch[key]?.arrayValue).map { try #require($0.integerValue) }
        }
        return TokenBatch(
            rows: Int(try #require(batch["rows"]?.integerValue)),
            columns: Int(try #require(batch["columns"]?.integerValue)),
            tokens: try integers("tokens").map(Int32.init),
            labels: try integers("labels").map(Int32.init), lengths: try integers("lengths").map(Int.init))
    }

    /// The rows of the group's two batches, without padding, in order.
    func examples(_ group: String) throws -> [Example] {
        try (0..<2).flatMap { index in
            let batch = try batch(group, index)
            return batch.lengths.enumerated().map { row, length in
                let start = row * batch.columns
                return Example(
                    ids: Array(batch.tokens[start..<start + length]),
                    labels: Array(batch.labels[start..<start + length]), line: index * 100 + row)
            }
        }
    }

    /// Checks each tensor of `actual` against `group`: ‖a − e‖ ≤ tolerance · ‖scale‖, with scale e unless given.
    func expect(
        _ actual: FloatStorage, equals group: String, of model: Transformer, tolerance: Double,
        relativeTo origin: String? = nil
    ) throws {
        for entry in model.table.entries {
            let a = actual.values(entry.range)
            let e = try values(group, entry.name)
            let o = try origin.map { try values($0, entry.name) } ?? [Float](repeating: 0, count: e.count)
            var difference = 0.0
            var scale = 0.0
            // Places whose exact gradient is zero: there is nothing but rounding to compare.
            let skipped = Set(
                (facts["still"]?[entry.name]?.arrayValue ?? []).compactMap(\.integerValue).map(Int.init))
            for index in 0..<e.count where !skipped.contains(index) {
                difference += pow(Double(a[index]) - Double(e[index]), 2)
                scale += pow(Double(e[index]) - Double(o[index]), 2)
            }
            #expect(
                difference.squareRoot() <= tolerance * scale.squareRoot() + 1e-9,
                "\(entry.name): \(difference.squareRoot()) against \(scale.squareRoot())")
        }
    }
}

/// The f32 tensors of a small safetensors file that the tests trust.
struct SafetensorsFixture {
    struct Entry {
        var shape: [Int]
        var range: Range<Int>
    }

    private(set) var entries: [String: Entry] = [:]
    private let data: Data
    private let start: Int

    init(_ file: URL) throws {
        data = try Data(contentsOf: file)
        let length = data.prefix(8).enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
        start = 8 + length
        let header = try StrictJSON.parse(Array(data[8..<start]))
        for member in try #require(header.objectValue).members where member.key != "__metadata__" {
            let shape = try #require(member.value["shape"]?.arrayValue).map { Int($0.integerValue ?? 0) }
            let offsets = try #require(member.value["data_offsets"]?.arrayValue).map {
                Int($0.integerValue ?? 0)
            }
            try #require(member.value["dtype"]?.stringValue == "F32")
            entries[member.key] = Entry(shape: shape, range: offsets[0]..<offsets[1])
        }
    }

    func values(_ name: String) throws -> [Float] {
        let range = try #require(entries[name], "no tensor \(name)").range
        return data[(start + range.lowerBound)..<(start + range.upperBound)].withUnsafeBytes { bytes in
            (0..<range.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
        }
    }
}
