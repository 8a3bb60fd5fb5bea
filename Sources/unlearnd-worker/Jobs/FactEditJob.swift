// SPDX-License-Identifier: Apache-2.0

import Engine
import Glibc
import Protocol

/// Puts replacements in the place of old answers by editing feed-forward layers (`update` by edit).
struct FactEditJob {
    private let context: JobContext

    init(_ context: JobContext) { self.context = context }

    func run() throws -> WorkerResult {
        let job = try InMemoryEdit(context)
        _ = try job.forget()
        guard let retain = job.sets.retain else {
            throw JobFailure(.badInput, "update by edit has no retain set", hint: "give --retain")
        }
        let facts = try facts(job)
        let parameters = context.parameters
        let count = job.configuration.layers
        if let range = parameters.layers?.ranges.first(where: { $0.upperBound >= count }) {
            throw EngineError(
                .unsupportedModel,
                "layer \(range.upperBound) is to be edited, but the model has \(count) layers, from 0",
                hint: "Give --layers layers that there are.")
        }
        var settings = FactEdit.Settings(
            layers: parameters.layers.map { layers in (0..<count).filter(layers.contains) }
                ?? Array(MethodDefaults.factLayers(of: count)))
        if let steps = parameters.editSteps { settings.steps = steps }
        if let rate = parameters.editLearningRate { settings.learningRate = rate }
        if let weight = parameters.covarianceWeight { settings.covarianceWeight = weight }
        if let clamp = parameters.editClamp { settings.clamp = clamp }
        return try job.run(noOp: "the model already gives every replacement", facts: facts.map(\.new)) {
            model in
            let edit = try FactEdit(model, settings)
            let phase = context.phase("edit-facts", unit: "steps")
            let outcomes = try edit.run(facts, retain: retain) { try phase.update($0, of: $1) }
            let total = model.table.parameterCount
            context.log(
                "\(facts.count) facts, layers \(settings.layers), \(edit.parameters) of \(total) weights")
            return [
                "layers": .array(settings.layers.map { .integer(Int64($0)) }),
                "facts": .integer(Int64(facts.count)),
                "parameters": .integer(Int64(edit.parameters)),
                "share": .number(Double(edit.parameters) / Double(total)),
                "rows": .array(outcomes.map(Self.row)),
            ]
        }
    }

    /// Probabilities are geometric means over an answer's tokens.
    private static func row(_ outcome: FactEdit.Outcome) -> JSONValue {
        [
            "line": .integer(Int64(outcome.line)), "steps": .integer(Int64(outcome.target.steps)),
            "old_before": .number(exp(-outcome.old.before)), "old_after": .number(exp(-outcome.old.after)),
            "new_before": .number(exp(-outcome.new.before)), "new_target": .number(exp(-outcome.target.loss)),
            "new_after": .number(exp(-outcome.new.after)),
        ]
    }

    private func facts(_ job: InMemoryEdit) throws -> [Fact] {
        let rows = job.rows.forget ?? []
        let name = "forget set"
        try RowRequirement(.update)?.check(rows, name: name, for: .update)
        func examples(_ rows: [DatasetRow]) throws -> [Example] {
            try RowSets.examples(of: rows, name: name, job.files, job.configuration, context.parameters)
        }
        let old = try examples(rows)
        let new = try examples(rows.compactMap { row in row.replacement.flatMap(row.answered) })
        guard old.count == rows.count, new.count == rows.count else {
            throw JobFailure(.internal, "\(rows.count) rows became \(old.count) and \(new.count) examples")
        }
        return try rows.indices.map {
            try Fact(
                old: old[$0], new: new[$0], subject: rows[$0].subject, tokenizer: job.sets.tokenizer,
                name: name)
        }
    }
}
