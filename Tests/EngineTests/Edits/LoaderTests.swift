// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Engine
import Foundation
import Testing

/// Loading parameters from stored tensors and writing them back.
struct LoaderTests {
    private static let config = Array(
        #"""
        {"architectures": ["GPT2LMHeadModel"], "vocab_size": 9, "n_positions": 6, "n_embd": 4, "n_layer": 1, "n_head": 2}
        """#.utf8)

    /// Random values of the model's tensors, stored as `dtype`; the head also under its second name.
    private func tensors(_ dtype: String, alias: Bool = false) throws -> [TestVersions.Tensor] {
        let table = try Transformer(
            ModelConfiguration(json: Self.config), context: ComputeContext(threads: 1)
        ).table
        var random = RandomSource(seed: 3)
        var tensors = table.entries.map { entry in
            let values = (0..<entry.count).map { _ in random.normal() }
            let bytes = values.flatMap { value -> [UInt8] in
                switch dtype {
                case "F64": withUnsafeBytes(of: value.bitPattern) { Array($0) }
                case "F32": withUnsafeBytes(of: Float(value).bitPattern) { Array($0) }
                case "F16": withUnsafeBytes(of: UInt16(0x3800 + Int(abs(value) * 100))) { Array($0) }
                default:
                    withUnsafeBytes(of: UInt16(truncatingIfNeeded: Float(value).bitPattern >> 16)) {
                        Array($0)
                    }
                }
            }
            return TestVersions.Tensor(name: entry.name, dtype: dtype, shape: entry.shape, bytes: bytes)
        }
        if alias, var head = tensors.first(where: { $0.name == "transformer.wte.weight" }) {
            head.name = "lm_head.weight"
            tensors.append(head)
        }
        return tensors
    }

    private func load(_ reader: CheckpointReader) throws -> (Transformer, ModelLoader.Outcome) {
        let model = try Transformer(
            ModelConfiguration(json: reader.readFile("config.json")), context: ComputeContext(threads: 2))
        return (model, try ModelLoader.load(reader, into: model))
    }

    private func write(_ model: Transformer, _ loaded: ModelLoader.Outcome, over base: CheckpointReader)
        throws
        -> CheckpointRewriter.Result
    {
        let writer = ModelWriter(model, bindings: loaded.bindings)
        return try CheckpointRewriter.rewrite(
            base: base, parent: nil, transform: { try writer.write($0, $1) })
    }

    @Test(arguments: ["F64", "F32", "F16", "BF16"])
    func `writing what was loaded changes no byte of any type`(dtype: String) throws {
        let versions = try TestVersions()
        let base = try versions.version(tensors(dtype, alias: true), config: Self.config)
        let (model, loaded) = try load(base)
        #expect(loaded.notFinite.isEmpty)
        let first = try #require(model.table["transformer.wpe.weight"])
        let stored = try base.readTensor("transformer.wpe.weight")
        if dtype == "F32" {
            #expect(
                stored.withUnsafeBytes { $0.loadUnaligned(as: Float.self) } == model.weights[first.offset])
        }
        #expect(try write(model, loaded, over: base).changedTensors.isEmpty)
    }

    @Test(arguments: ["F64", "F32", "F16", "BF16"])
    func `a changed parameter is rounded once and a tied copy follows it`(dtype: String) throws {
        let versions = try TestVersions()
        let base = try versions.version(tensors(dtype, alias: true), config: Self.config)
        let (model, loaded) = try load(base)
        let entry = try #require(model.table["transformer.wte.weight"])
        // Between two neighbours of every 16-bit type, nearer to 1.
        model.parameters.base[entry.offset] = 1.000_01
        let made = try write(model, loaded, over: base)
        #expect(made.changedTensors == ["transformer.wte.weight", "lm_head.weight"])
        let (again, _) = try load(versions.version(made))
        #expect(again.weights[entry.offset] == (["F16", "BF16"].contains(dtype) ? 1 : 1.000_01))
        #expect(again.weights.dropFirst(entry.offset + 1) == model.weights.dropFirst(entry.offset + 1))
    }

    @Test func `weights that are not finite are counted and named`() throws {
        let versions = try TestVersions()
        var tensors = try tensors("F32")
        let index = try #require(tensors.firstIndex { $0.name == "transformer.h.0.ln_1.bias" })
        tensors[index] = .f32("transformer.h.0.ln_1.bias", [.nan, 1, -.infinity, 2])
        let (_, loaded) = try load(versions.version(tensors, config: Self.config))
        #expect(loaded.notFinite.map(\.tensor) == ["transformer.h.0.ln_1.bias"])
        #expect(loaded.notFinite.map(\.count) == [2])
        let error = #expect(throws: EngineError.self) { try loaded.requireFinite() }
        #expect(error?.message.contains("transformer.h.0.ln_1.bias (2)") == true)
    }

    @Test func `a value beyond half precision is refused, not stored as infinity`() throws {
        let versions = try TestVersions()
        let base = try versions.version(tensors("F16"), config: Self.config)
        let (model, loaded) = try load(base)
        model.parameters.base[try #require(model.table["transformer.wpe.weight"]).offset] = 70_000
        let error = #expect(throws: EngineError.self) { _ = try write(model, loaded, over: base) }
        #expect(error?.message.contains("transformer.wpe.weight") == true)
    }

    @Test func `a new checkpoint is read back as it was made`() throws {
        let versions = try TestVersions()
        for (type, name) in [("float32", "F32"), ("bfloat16", "BF16")] {
            let config = Array(
                String(decoding: Self.config, as: UTF8.self).replacing(
                    "{", with: "{\"dtype\": \"\(type)\", ", maxReplacements: 1
                ).utf8)
            let model = try Transformer(ModelConfiguration(json: config), context: ComputeContext(threads: 2))
            ParameterInitializer.fill(model.parameters, model.table, seed: 4, context: model.context)
            var file: [UInt8] = []
            try NewCheckpoint(model).emit { file += $0 }
            let reader = try versions.version(safetensors: file, config: config)
            #expect(reader.manifest.tensors.allSatisfy { $0.dtype.rawValue == name })
            let (read, _) = try load(reader)
            let exact = zip(read.weights, model.weights).allSatisfy { read, made in
                type == "float32" ? read == made : abs(read - made) <= abs(made) / 256
            }
            #expect(exact)
        }
    }

    @Test func `tensors read in parallel are those read one by one`() throws {
        // Small tensors share objects; few objects are kept, so that threads push out each other's.
        let versions = try TestVersions()
        var config = String(decoding: Self.config, as: UTF8.self)
        config = config.replacing(#""n_layer": 1"#, with: #""n_layer": 40"#).replacing(
            #""n_embd": 4"#, with: #""n_embd": 32"#)
        let model = try Transformer(
            ModelConfiguration(json: Array(config.utf8)), context: ComputeContext(threads: 4))
        ParameterInitializer.fill(model.parameters, model.table, seed: 5, context: model.context)
        var file: [UInt8] = []
        try NewCheckpoint(model).emit { file += $0 }
        let id = try versions.version(safetensors: file, config: Array(config.utf8)).manifestID
        let read = try Transformer(model.configuration, context: model.context)
        for _ in 0..<10 {
            read.parameters.clear()
            _ = try ModelLoader.load(
                CheckpointReader(store: versions.store, manifestID: id, cachedObjects: 1), into: read)
            #expect(read.weights == model.weights)
        }
    }
}
