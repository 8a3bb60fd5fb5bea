// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Engine
import Protocol

/// What jobs have in common that change weights in memory, once: measure, edit, write, measure again.
struct InMemoryEdit {
    let context: JobContext
    let base: CheckpointReader
    let files: VersionFiles
    let configuration: ModelConfiguration
    let rows: RowSets
    /// The order's sets as examples of the base.
    let sets: Evaluator.Sets

    /// Opens the base and makes examples of the datasets: faults of the data show before anything is done.
    init(_ context: JobContext) throws {
        self.context = context
        base = try context.reader(context.order.base, "base")
        files = VersionFiles(reader: base)
        configuration = try files.configuration()
        rows = try RowSets(context)
        sets = try rows.examples(files, configuration, context.parameters)
    }

    /// The forget set.
    /// - Throws: `JobFailure` where there is none.
    func forget() throws -> [Example] {
        guard let forget = sets.forget else {
            throw JobFailure(
                .badInput, "\(context.spec.kind.rawValue) has no forget set", hint: "give --forget")
        }
        return forget
    }

    /// Runs `edit` on the weights and writes the new version. Each of several ranks edits by itself, to the same bits.
    ///
    /// - Parameters:
    ///   - noOp: Why nothing may have changed, for the failure.
    ///   - facts: Rows that are put into the weights, with their new answers.
    ///   - edit: Changes the weights; what it returns becomes a member of the result, under the kind's name.
    func run(noOp: String, facts: [Example] = [], _ edit: (Transformer) throws -> JSONValue) throws
        -> WorkerResult
    {
        try context.predictMemory(configuration, sets, facts: facts)
        try context.snapshot(base)
        let (model, loaded) = try files.model(configuration, context)
        try loaded.requireFinite()
        var measurement = context.wantsEvaluation ? Measurement(context, rows) : nil
        try measurement?.before(model, sets)

        let report = try edit(model)
        // The writer needs room for chunks and their compression.
        model.releaseActivations()
        let writer = ModelWriter(model, bindings: loaded.bindings)
        let phase = context.phase("write", unit: "bytes")
        let made = try CheckpointRewriter.rewrite(
            base: base, threads: context.threads, provenance: try context.provenance(),
            parent: base.manifestID, partners: context.partners,
            progress: { try phase.update($0, of: $1) }, transform: { try writer.write($0, $1) })
        var result = try WorkerResult(edited: made, noOp: noOp)
        if var figures = result.result?.objectValue {
            figures[context.spec.kind.rawValue] = report
            result.result = .object(figures)
        }

        if measurement != nil {
            // What is measured is what is committed: the rounded values, read back.
            let written = VersionFiles(
                reader: try CheckpointReader(store: context.store, manifestID: made.manifestID))
            _ = try written.load(into: model, context)
            try measurement?.after(model, sets)
        }
        try measurement?.reference()
        result.evaluation = measurement?.report
        return result
    }
}
