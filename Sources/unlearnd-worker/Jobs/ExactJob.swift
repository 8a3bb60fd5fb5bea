// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Engine
import Protocol

/// Makes the model that never saw the forget rows: the recorded jobs are done again without them, from the last version
/// that was made before any of them was used.
///
/// Data order, random numbers and arithmetic are functions of the specifications, so the result has the bytes that the
/// same jobs would have given, had the rows never been there.
struct ExactJob {
    private let context: JobContext

    init(_ context: JobContext) { self.context = context }

    func run() throws -> WorkerResult {
        let head = try context.reader(context.order.base, "base")
        let rows = try RowSets(context)
        guard let forget = rows.forget else {
            throw JobFailure(.badInput, "exact has no forget set", hint: "give --forget")
        }
        let plan = try ReplayPlan(lineage: context.order.lineage ?? [], forgetting: forget) { id in
            try DatasetParser.parse(context.store.readDataset(id), name: "dataset \(id.short)")
        }
        for line in plan.words { context.log(line) }
        for note in plan.notes { try context.send(.warning(note)) }
        let headFiles = VersionFiles(reader: head)
        let configuration = try headFiles.configuration()
        let sets =
            try context.wantsEvaluation
            ? rows.examples(headFiles, configuration, context.parameters) : Evaluator.Sets()
        try context.predictMemory(configuration, sets)
        try context.snapshot(head)
        var measurement = context.wantsEvaluation ? Measurement(context, rows) : nil
        if measurement != nil {
            let (model, _) = try headFiles.model(configuration, context)
            try measurement?.before(model, sets)
        }

        // Recorded jobs are done again as they were, by one process; the others wait for what it made.
        var stored = 0
        let manifest = try context.ranks.first {
            let made = try replay(plan, Set(forget.map(RowText.init)))
            stored = made.1
            return made.0
        }
        let made = try CheckpointReader(store: context.store, manifestID: manifest)
        guard made.manifest.versionDigest != head.manifest.versionDigest else {
            throw JobFailure(
                .noOp, "without the rows the jobs make the same bytes", hint: "the model is as it was")
        }
        var result = WorkerResult(manifest: made.manifest, id: manifest, storedBytes: stored)
        if plan.start?.model == context.order.base?.model { result.parent = plan.start?.version }
        result.result = [
            "start": plan.start.map { .string("\($0.model)@\($0.version)") } ?? .null,
            "jobs": .array(
                plan.steps.map {
                    [
                        "job": .integer(Int64($0.recorded.job)),
                        "kind": .string($0.recorded.spec.kind.rawValue),
                        "repeated": .bool($0.isRepeated), "rows_left_out": .integer(Int64($0.rowsLeftOut)),
                    ]
                }),
            "notes": .array(plan.notes.map { .string($0) }),
        ]
        if measurement != nil {
            let files = VersionFiles(reader: made)
            let (model, _) = try files.model(try files.configuration(), context)
            try measurement?.after(model, sets)
        }
        try measurement?.reference()
        result.evaluation = measurement?.report
        return result
    }

    /// Does the jobs again, one on the result of the other.
    /// - Returns: The last one's manifest, and by how many bytes the store grew.
    private func replay(_ plan: ReplayPlan, _ forgotten: Set<RowText>) throws -> (Digest, Int) {
        var base = plan.start?.made
        var stored = 0
        for step in plan.repeated {
            guard let from = base ?? step.form else {
                throw JobFailure(.missing, "the form of the fresh start of job \(step.job) is gone")
            }
            var excluded = forgotten
            for id in step.excluding {
                let rows = try DatasetParser.parse(context.store.readDataset(id), name: "dataset \(id.short)")
                excluded.formUnion(rows.map(RowText.init))
            }
            context.log("repeats job \(step.job), \(step.spec.kind.rawValue), on \(from.digest.short)")
            let one = try JobContext(repeating: step, on: from, without: excluded, in: context)
            if let warning = one.precisionWarning { try context.send(.warning(warning)) }
            let result = try perform(one)
            context.predictMemory(with: one)
            guard let manifest = result.manifest, let digest = result.digest else {
                throw JobFailure(.internal, "job \(step.job), done again, made no version")
            }
            stored += Int(result.storedBytes ?? 0)
            base = VersionBinding(
                model: step.model, version: step.version, manifest: manifest, digest: digest)
        }
        guard let base else { throw JobFailure(.internal, "nothing was done again") }
        return (base.manifest, stored)
    }

    private func perform(_ one: JobContext) throws -> WorkerResult {
        switch one.spec.kind {
        case .finetune: try FinetuneJob(one).run()
        case .retrain: try RetrainJob(one).run()
        case .update where one.spec.editsFacts: try FactEditJob(one).run()
        default: try GradientJob(one).run()
        }
    }
}
