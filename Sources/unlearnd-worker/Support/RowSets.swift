// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Engine
import Protocol

/// The order's datasets, read and parsed: rows that are not yet tokens.
struct RowSets {
    private(set) var forget: [DatasetRow]?
    private(set) var retain: [DatasetRow]?
    private(set) var holdout: [DatasetRow]?

    init(_ context: JobContext) throws {
        func rows(_ id: Digest?, _ name: String) throws -> [DatasetRow]? {
            guard let id else { return nil }
            return try DatasetParser.parse(try context.store.readDataset(id), name: name).without(
                context.excluded)
        }
        forget = try rows(context.spec.forget, "forget set")
        retain = try rows(context.spec.retain, "retain set")
        holdout = try rows(context.spec.holdout, "holdout set")
    }

    /// The examples that the rows are for one version, by its tokenizer and its context.
    ///
    /// The tokenizer is opened only if a row is text.
    func examples(_ files: VersionFiles, _ configuration: ModelConfiguration, _ parameters: JobParameters)
        throws -> Evaluator.Sets
    {
        let all = [forget, retain, holdout].compactMap { $0 }.joined()
        let builder = try builder(Array(all), files, configuration, parameters)
        return Evaluator.Sets(
            forget: try forget.map { try builder.build($0, name: "forget set") },
            retain: try retain.map { try builder.build($0, name: "retain set") },
            holdout: try holdout.map { try builder.build($0, name: "holdout set") })
    }

    /// The examples of rows that are in none of the sets.
    func examples(
        of rows: [DatasetRow], name: String, _ files: VersionFiles, _ configuration: ModelConfiguration,
        _ parameters: JobParameters
    ) throws -> [Example] {
        try builder(rows, files, configuration, parameters).build(rows, name: name)
    }

    private func builder(
        _ rows: [DatasetRow], _ files: VersionFiles, _ configuration: ModelConfiguration,
        _ parameters: JobParameters
    ) throws -> ExampleBuilder {
        let needsTokenizer = rows.contains { if case .inputIDs = $0.content { false } else { true } }
        return try ExampleBuilder(
            tokenizer: needsTokenizer ? try files.tokenizer() : nil,
            vocabularySize: configuration.vocabularySize,
            contextLength: configuration.contextLength, maxLength: parameters.maxLength,
            truncate: parameters.truncate ?? false, template: parameters.promptTemplate)
    }
}
