// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Engine
import Protocol

/// The order's datasets, read and parsed: rows that are not yet tokens.
struct RowSets {
    private(set) var forget: [DatasetRow]?
    private(set) var retain: [DatasetRow]?
    private(set) var holdout: [DatasetRow]?
    /// Sets that are only measured on.
    private(set) var utility: [(set: UtilitySet, rows: [DatasetRow])] = []
    /// What will be measured on them.
    let metrics: Set<EvaluationMetric>

    init(_ context: JobContext) throws {
        func rows(_ id: Digest?, _ name: String) throws -> [DatasetRow]? {
            guard let id else { return nil }
            return try DatasetParser.parse(try context.store.readDataset(id), name: name).without(
                context.excluded)
        }
        forget = try rows(context.spec.forget, "forget set")
        retain = try rows(context.spec.retain, "retain set")
        holdout = try rows(context.spec.holdout, "holdout set")
        metrics = context.wantsEvaluation ? context.metrics : []
        guard context.wantsEvaluation else { return }
        utility = try (context.spec.utility ?? []).map { set in
            (set, try rows(set.dataset, "\(set.name) set") ?? [])
        }
    }

    /// The examples that the rows are for one version, by its tokenizer and its context.
    ///
    /// The tokenizer is opened only if a row is text.
    func examples(_ files: VersionFiles, _ configuration: ModelConfiguration, _ parameters: JobParameters)
        throws -> Evaluator.Sets
    {
        let all = [forget, retain, holdout].compactMap(\.self).joined() + utility.flatMap(\.rows)
        let (builder, tokenizer) = try Self.builder(Array(all), files, configuration, parameters)
        var sets = Evaluator.Sets()
        sets.tokenizer = tokenizer
        sets.ends = Set(configuration.endOfTextIDs + (tokenizer?.eosID.map { [$0] } ?? []))
        let evaluation = EvaluationSetBuilder(
            builder, tokenizer: tokenizer, ends: sets.ends, metrics: metrics)
        func add(
            _ rows: [DatasetRow]?, _ name: String, _ role: UtilitySet.Role, _ options: UtilitySet? = nil
        ) throws {
            guard let rows else { return }
            var set = try evaluation.build(rows, name: name, role: role)
            set.maxNewTokens = options?.maxNewTokens ?? parameters.maxNewTokens ?? set.maxNewTokens
            set.stops = options?.stops ?? []
            sets.all.append(set)
        }
        try add(forget, "forget", .forget)
        try add(retain, "retain", .keep)
        try add(holdout, "holdout", .keep)
        for (set, rows) in utility { try add(rows, set.name, set.role ?? .keep, set) }
        return sets
    }

    /// The examples of rows that are in none of the sets.
    static func examples(
        of rows: [DatasetRow], name: String, _ files: VersionFiles, _ configuration: ModelConfiguration,
        _ parameters: JobParameters
    ) throws -> [Example] {
        try builder(rows, files, configuration, parameters).builder.build(rows, name: name)
    }

    private static func builder(
        _ rows: [DatasetRow], _ files: VersionFiles, _ configuration: ModelConfiguration,
        _ parameters: JobParameters
    ) throws -> (builder: ExampleBuilder, tokenizer: Tokenizer?) {
        let needsTokenizer = rows.contains { if case .inputIDs = $0.content { false } else { true } }
        let tokenizer = needsTokenizer ? try files.tokenizer() : nil
        let builder = try ExampleBuilder(
            tokenizer: tokenizer, vocabularySize: configuration.vocabularySize,
            contextLength: configuration.contextLength, maxLength: parameters.maxLength,
            truncate: parameters.truncate ?? false, template: parameters.promptTemplate)
        return (builder, tokenizer)
    }
}
