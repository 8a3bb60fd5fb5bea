// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Engine
import Protocol

/// The side files of one version: what the engine needs to know besides the weights.
struct VersionFiles {
    let reader: CheckpointReader

    /// The model's description.
    /// - Throws: `EngineError` for an architecture that cannot be computed.
    func configuration() throws -> ModelConfiguration {
        try ModelConfiguration(json: reader.readFile("config.json"))
    }

    /// The model's tokenizer; `nil` when the version has none.
    func tokenizer() throws -> Tokenizer? {
        guard reader.file("tokenizer.json") != nil else { return nil }
        let config =
            reader.file("tokenizer_config.json") == nil ? nil : try reader.readFile("tokenizer_config.json")
        return try Tokenizer(
            tokenizerJSON: reader.readFile("tokenizer.json"), configJSON: config,
            modelConfigJSON: reader.readFile("config.json"))
    }

    /// The tokenizer, for jobs that are about text.
    func requiredTokenizer() throws -> Tokenizer {
        guard let tokenizer = try tokenizer() else {
            throw JobFailure(
                .badInput, "the version has no tokenizer.json",
                hint: "import the model again with its tokenizer")
        }
        return tokenizer
    }

    /// Loads the weights into a new model, which the ranks share out where the job says so.
    ///
    /// - Parameters:
    ///   - checkpointing: Whether training computes activations again instead of keeping them.
    ///   - adapters: Those that are trained instead of the weights.
    func model(
        _ configuration: ModelConfiguration, _ context: JobContext, checkpointing: Bool = false,
        adapters: AdapterSettings? = nil
    ) throws -> (Transformer, ModelLoader.Outcome) {
        let model = try Transformer(
            configuration, context: context.compute, checkpointing: checkpointing, adapters: adapters,
            sharedBy: context.owners)
        return (model, try load(into: model, context))
    }

    /// Loads the weights over those of a model of the same shape, as an edit would leave them if one is given.
    func load(into model: Transformer, editing edit: ModelLoader.Edit? = nil, _ context: JobContext) throws
        -> ModelLoader.Outcome
    {
        let phase = context.phase("load", unit: "bytes")
        return try ModelLoader.load(reader, into: model, editing: edit) { try phase.update($0, of: $1) }
    }

    /// The name that config.json gives the architecture; none is invented.
    static func architecture(_ config: [UInt8]) -> String? {
        guard let value = try? StrictJSON.parse(config) else { return nil }
        return value["architectures"]?.arrayValue?.first?.stringValue ?? value["model_type"]?.stringValue
    }
}
