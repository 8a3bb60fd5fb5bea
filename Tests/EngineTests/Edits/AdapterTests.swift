// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Engine
import Foundation
import Protocol
import Testing

/// Low-rank adapters against PEFT: training them, merging them, and subtracting those that PEFT saved.
struct AdapterTests {
    static let names = ["llama-tied", "gpt2"]

    private func fixtures() throws -> URL { try GoldenModel.fixtures().appending(path: "lora") }

    private func golden(_ name: String) throws -> (GoldenModel, AdapterSettings) {
        let golden = try GoldenModel(fixtures().appending(path: name).path)
        let targets = try #require(golden.facts["targets"]?.arrayValue).compactMap(\.stringValue)
        return (
            golden,
            AdapterSettings(
                rank: Int(try #require(golden.facts["rank"]?.integerValue)),
                alpha: try #require(golden.facts["alpha"]?.doubleValue), targets: targets)
        )
    }

    /// The model with PEFT's adapters as they were at the start.
    private func start(_ golden: GoldenModel, _ settings: AdapterSettings, threads: Int = 2) throws
        -> Transformer
    {
        let model = try golden.load(threads: threads, adapters: settings)
        for entry in model.table.entries where entry.isAdapter {
            for (index, value) in try golden.values("start", entry.name).enumerated() {
                model.parameters.base[entry.offset + index] = value
            }
        }
        return model
    }

    private func distance(_ a: [Float], _ b: [Float]) -> (difference: Double, size: Double) {
        (
            zip(a, b).reduce(0) { $0 + pow(Double($1.0) - Double($1.1), 2) }.squareRoot(),
            b.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
        )
    }

    /// Steps as the fixture took them.
    private func train(_ model: Transformer, _ golden: GoldenModel) throws -> [Double] {
        let gradients = try model.makeBuffer()
        let optimizer = try AdamW(
            count: model.table.count, ranges: model.trainable.ranges,
            rates: AdamW.Rates(learningRate: try #require(golden.facts["rate"]?.doubleValue)),
            context: model.context)
        return try (0..<(golden.facts["losses"]?.arrayValue?.count ?? 0)).map { step in
            gradients.clear(model.trainable.ranges)
            let loss = try model.accumulateGradients(
                golden.batch("forget", step % 2), scale: 1, into: gradients)
            if step == 0 {
                for entry in model.table.entries {
                    let values = gradients.values(entry.range)
                    guard entry.isAdapter else {
                        #expect(values.allSatisfy { $0 == 0 }, "\(entry.name) is frozen")
                        continue
                    }
                    let (difference, size) = distance(values, try golden.values("gradients", entry.name))
                    #expect(difference <= 1e-4 * size, "\(entry.name): \(difference) of \(size)")
                }
            }
            optimizer.step(model.parameters, gradients)
            return loss.mean
        }
    }

    @Test(arguments: names)
    func `gradients, steps and the merged weights are PEFT's, and the base keeps its bits`(name: String)
        throws
    {
        let (golden, settings) = try golden(name)
        let model = try start(golden, settings)
        let losses = try train(model, golden)
        for (loss, wanted) in zip(losses, try #require(golden.facts["losses"]?.arrayValue)) {
            #expect(abs(loss - (wanted.doubleValue ?? .nan)) <= 1e-3 * loss)
        }
        for entry in model.table.entries {
            let values = model.parameters.values(entry.range)
            if entry.isAdapter {
                let origin = try golden.values("start", entry.name)
                let wanted = zip(try golden.values("trained", entry.name), origin).map { $0 - $1 }
                let (difference, size) = distance(zip(values, origin).map { $0 - $1 }, wanted)
                #expect(difference <= 1e-2 * size, "\(entry.name): \(difference) of \(size)")
            } else {
                #expect(try values == golden.values("weights", entry.name), "\(entry.name)")
            }
        }
        let batch = try golden.batch("retain", 0)
        let before = try model.score(batch).joined().map(\.nll)
        try model.mergeAdapters()
        let after = try model.score(batch).joined().map(\.nll)
        #expect(zip(before, after).allSatisfy { abs($0 - $1) < 1e-3 })
        for entry in model.table.entries where !entry.isAdapter {
            let origin = try golden.values("weights", entry.name)
            let change = zip(try golden.values("merged", entry.name), origin).map { $0 - $1 }
            let (difference, size) = distance(
                zip(model.parameters.values(entry.range), origin).map { $0 - $1 }, change)
            #expect(difference <= 1e-2 * size, "\(entry.name): \(difference) of \(size)")
        }
    }

    @Test(arguments: names)
    func `adapters give the same bits for any number of threads`(name: String) throws {
        let (golden, settings) = try golden(name)
        let weights = try [1, 2, 3].map { threads in
            let model = try start(golden, settings, threads: threads)
            _ = try train(model, golden)
            try model.mergeAdapters()
            return model.weights.map(\.bitPattern)
        }
        #expect(weights[0] == weights[1] && weights[0] == weights[2])
    }

    @Test func `new adapters change nothing, and a model with them is its own reference`() throws {
        let (golden, settings) = try golden("llama-tied")
        let batch = try golden.batch("forget", 0)
        let plain = try golden.load()
        let model = try golden.load(adapters: settings)
        model.initializeAdapters(seed: 3)
        #expect(try model.score(batch) == plain.score(batch))
        let drawn = try #require(
            model.table.entries.first { $0.name.hasSuffix("mlp.down_proj.lora_A.weight") })
        let values = model.parameters.values(drawn.range)
        let bound = 1 / Float(drawn.shape[1]).squareRoot()
        #expect(values.allSatisfy { abs($0) <= bound } && values.contains { abs($0) > 0.8 * bound })

        let moved = try start(golden, settings)
        let gradients = try moved.makeBuffer()
        let own = try moved.accumulateDivergenceGradients(
            batch, reference: moved.makeReference(), scale: 1, into: gradients)
        let kept = moved.weights
        let other = try golden.load(adapters: settings)
        let expected = try moved.makeBuffer()
        let copied = try moved.accumulateDivergenceGradients(
            batch, reference: other.parameters, scale: 1, into: expected)
        #expect(own == copied && own.nll > 0)
        #expect(gradients.values(0..<gradients.count) == expected.values(0..<gradients.count))
        #expect(moved.weights == kept)
    }

    @Test func `targets that the model lacks are refused by name`() throws {
        let golden = try golden("llama-tied").0
        func refusal(_ settings: AdapterSettings) -> String {
            (#expect(throws: EngineError.self) { _ = try golden.load(adapters: settings) })?.description ?? ""
        }
        let text = refusal(AdapterSettings(rank: 2, alpha: 2, targets: ["q_proj", "c_attn"]))
        #expect(text.contains("c_attn") && text.contains("q_proj"))
        #expect(
            refusal(
                AdapterSettings(rank: 2, alpha: 2, targets: ["q_proj"], layers: LayerSelection("1-2"))
            ).contains("layer 2"))
        let all = try golden.load(adapters: AdapterSettings(rank: 2, alpha: 2, targets: ["all-linear"]))
        #expect(all.table.entries.count { $0.isAdapter } == 2 * 7 * 2)
    }

    @Test(arguments: names)
    func `exported adapters are read back, and are what was merged`(name: String) throws {
        let (golden, settings) = try golden(name)
        let model = try start(golden, settings)
        let folder = FileManager.default.temporaryDirectory.appending(path: "adapter-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, bytes) in model.adapterFiles() {
            try Data(bytes).write(to: folder.appending(path: name))
        }
        let versions = try TestVersions()
        let base = try version(name, versions)
        let edit = try AdapterVector(target: base.manifest, adapter: adapter(folder), scale: -1)
        let made = try CheckpointRewriter.rewrite(
            base: base, parent: nil, attachments: model.adapterFiles(), transform: { try edit.edit($0, $1) })
        let result = try versions.version(made)
        try model.mergeAdapters()
        for entry in model.table.entries where !entry.isAdapter {
            let bytes = try result.readTensor(entry.name)
            for (index, value) in model.parameters.values(entry.range).enumerated() {
                let other = bytes.withUnsafeBytes {
                    $0.loadUnaligned(fromByteOffset: 4 * index, as: Float.self)
                }
                #expect(abs(value - other) <= 2e-6, "\(entry.name)[\(index)]")
            }
        }
        // Kept with the version, and no part of it.
        #expect(result.manifest == made.manifest && result.manifest.attachments.count == 2)
        #expect(result.manifest.files.map(\.path) == base.manifest.files.map(\.path))
        #expect(result.manifest.objects.isSuperset(of: result.manifest.attachments[1].regions.map(\.id)))
        let again = try CheckpointRewriter.rewrite(base: result, parent: nil, transform: { _, _ in false })
        #expect(again.manifest.attachments.isEmpty)
        #expect(again.manifest.versionDigest == result.manifest.versionDigest)
        #expect(try golden.load().adapterFiles().isEmpty)
    }

    // MARK: Adapters as task vectors

    private func adapter(_ folder: URL) throws -> LowRankAdapter {
        func file(_ name: String) -> ImportFile {
            ImportFile(path: name, descriptor: open(folder.appending(path: name).path, O_RDONLY))
        }
        // The descriptors live as long as the process: a test makes a handful.
        return try LowRankAdapter(
            configuration: file(LowRankAdapter.configurationName), weights: file(LowRankAdapter.weightsName))
    }

    private func version(_ name: String, _ versions: TestVersions) throws -> CheckpointReader {
        let golden = try GoldenModel(fixtures().appending(path: name).path)
        let model = try golden.load()
        return try versions.version(
            model.table.entries.map {
                .f32($0.name, model.parameters.values($0.range), shape: $0.shape)
            })
    }

    @Test(arguments: [("patterns", "llama-tied"), ("half", "llama-tied"), ("transposed", "gpt2")])
    func `the direction of an adapter is alpha over r times B A, as PEFT computes it`(
        variant: String, model: String
    ) throws {
        let versions = try TestVersions()
        let target = try version(model, versions)
        let folder = try fixtures().appending(path: "adapters/\(variant)")
        let edit = try AdapterVector(target: target.manifest, adapter: adapter(folder), scale: 0.5)
        let made = try CheckpointRewriter.rewrite(
            base: target, parent: target.manifestID, transform: { try edit.edit($0, $1) })
        let result = try versions.version(made)
        let expected = try SafetensorsFixture(folder.appending(path: "expected.safetensors"))
        #expect(Set(made.changedTensors) == Set(expected.entries.keys))
        func floats(_ reader: CheckpointReader, _ name: String) throws -> [Float] {
            let bytes = try reader.readTensor(name)
            return bytes.withUnsafeBytes { bytes in
                (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
            }
        }
        for name in made.changedTensors {
            let origin = try floats(target, name)
            let delta = try expected.values(name)
            for (index, value) in try floats(result, name).enumerated() {
                let wanted = Double(origin[index]) - 0.5 * Double(delta[index])
                // The sum's own rounding stands beside the 1e-5 of the direction.
                let tolerance = 1e-5 * abs(Double(delta[index])) + 6e-8 * abs(wanted)
                #expect(abs(Double(value) - wanted) <= tolerance, "\(name)[\(index)]")
            }
        }
    }

    @Test func `adapters that do not match or are of another kind are refused by name`() throws {
        let versions = try TestVersions()
        let source = try fixtures().appending(path: "adapters/half")
        let target = try version("gpt2", versions)
        let text = try String(
            contentsOf: source.appending(path: LowRankAdapter.configurationName), encoding: .utf8)
        let folder = FileManager.default.temporaryDirectory.appending(path: "adapter-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.copyItem(
            at: source.appending(path: LowRankAdapter.weightsName),
            to: folder.appending(path: LowRankAdapter.weightsName))
        func refusal(_ old: String, _ new: String) throws -> EngineError? {
            let changed = text.replacing(old, with: new)
            try #require(changed != text || old == new)
            try Data(changed.utf8).write(to: folder.appending(path: LowRankAdapter.configurationName))
            return #expect(throws: EngineError.self) {
                _ = try AdapterVector(target: target.manifest, adapter: adapter(folder), scale: 1)
            }
        }
        #expect(
            try refusal(#""use_dora": false"#, #""use_dora": true"#)?.message.contains("use_dora") == true)
        #expect(try refusal(#""LORA""#, #""IA3""#)?.code == .unsupportedModel)
        #expect(try refusal(#""bias": "none""#, #""bias": "all""#)?.message.contains("bias") == true)
        #expect(try refusal(#""r": 2"#, #""r": 3"#)?.message.contains("rank 3") == true)
        #expect(
            try refusal(#""rank_pattern": {}"#, #""rank_pattern": {"(a+)+": 2}"#)?.message.contains("(a+)+")
                == true)
        // Sound, but of another model.
        let other = try refusal("", "")
        #expect(other?.code == .tensorMismatch && other?.message.contains("the model has no tensor") == true)
        let wide = try versions.version([
            .f32("model.layers.0.self_attn.k_proj.weight", [1, 2, 3, 4], shape: [2, 2])
        ])
        let shape = #expect(throws: EngineError.self) {
            _ = try AdapterVector(target: wide.manifest, adapter: adapter(source), scale: 1)
        }
        #expect(shape?.message.contains("[2, 2]") == true || shape?.message.contains("no tensor") == true)
    }
}
