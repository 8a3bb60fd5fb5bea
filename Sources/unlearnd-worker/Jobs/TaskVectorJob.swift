// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Engine
import Protocol

/// Subtracts the direction of a fine-tuning from a version, piece by piece: memory does not grow with the model.
struct TaskVectorJob {
    private let context: JobContext
    /// A thread holds one object of each of the three versions; more of them buy no speed that a disk would give.
    private static let mostThreads = 4

    init(_ context: JobContext) { self.context = context }

    func run() throws -> WorkerResult {
        let target = try context.reader(context.order.base, "target")
        let adapter = try adapter()
        var vector = try adapter == nil ? vector(target) : nil

        var measurement: Measurement?
        var sets = Evaluator.Sets()
        let files = VersionFiles(reader: target)
        if context.wantsEvaluation {
            let rows = try RowSets(context)
            sets = try rows.examples(files, try files.configuration(), context.parameters)
            try context.predictMemory(files.configuration(), sets)
            measurement = Measurement(context, rows)
        } else {
            let memory = EditMemory.piecewise(threads: context.threads)
            try context.predictMemory(MemoryAnswer(memory: Int64(memory), ways: []))
        }
        try context.snapshot(target)
        if let density = context.parameters.density {
            let phase = context.phase("trim", unit: "bytes")
            try vector?.trim(to: density, of: target, threads: context.threads, ranks: context.ranks) {
                try phase.update($0, of: $1)
            }
        }
        var trials: [ScaleTrial] = []
        if measurement != nil {
            let (model, _) = try files.model(try files.configuration(), context)
            try measurement?.before(model, sets)
            if let grid = context.parameters.scaleGrid, var searched = vector {
                trials = try search(grid, &searched, files, model, &measurement, sets)
                vector = searched
            }
        }

        let edit = try edit(target, adapter, vector)
        let phase = context.phase("edit", unit: "bytes")
        let made = try CheckpointRewriter.rewrite(
            base: target, threads: min(context.threads, Self.mostThreads),
            provenance: try context.provenance(files: adapter?.digests ?? [:]),
            parent: target.manifestID, partners: context.partners, progress: { try phase.update($0, of: $1) },
            transform: edit)
        var result = try WorkerResult(
            edited: made,
            noOp: adapter == nil
                ? "the fine-tuned version and its base are the same, or the scale is 0"
                : "the adapter is zero, or too small for the stored type, or the scale is 0")
        if !trials.isEmpty, var figures = result.result?.objectValue {
            figures["scale"] = .number(vector?.scale ?? 1)
            figures["trials"] = try JSONValue(encoding: trials)
            result.result = .object(figures)
        }

        if measurement != nil {
            let written = VersionFiles(
                reader: try CheckpointReader(store: context.store, manifestID: made.manifestID))
            let (model, _) = try written.model(try written.configuration(), context)
            try measurement?.after(model, sets)
        }
        try measurement?.reference()
        result.evaluation = measurement?.report
        return result
    }

    /// The adapter that came with the order, if its direction is the one to subtract.
    private func adapter() throws -> LowRankAdapter? {
        guard context.parameters.transfer != nil else { return nil }
        let files = Dictionary(
            zip(context.order.files ?? [], context.descriptors).map {
                ($0, ImportFile(path: $0, descriptor: $1))
            }
        ) { first, _ in first }
        guard let configuration = files[LowRankAdapter.configurationName],
            let weights = files[LowRankAdapter.weightsName]
        else {
            throw JobFailure(
                .badInput,
                "an adapter is \(LowRankAdapter.configurationName) and \(LowRankAdapter.weightsName); the order brings \(files.keys.sorted().joined(separator: ", "))",
                hint: "give the directory that PEFT's save_pretrained made")
        }
        return try LowRankAdapter(configuration: configuration, weights: weights)
    }

    /// The direction of a fine-tuning, whole.
    private func vector(_ target: CheckpointReader) throws -> TaskVector {
        let finetuned = try context.reader(context.order.finetuned, "fine-tuned")
        let isOwnBase = context.order.other.map { $0.manifest == target.manifestID } ?? true
        let origin = isOwnBase ? nil : try context.reader(context.order.other, "base")
        return try TaskVector(
            target: target.manifest, finetuned: finetuned, base: origin, scale: context.parameters.scale ?? 1,
            layers: context.parameters.layerScale.flatMap { LayerScales($0) })
    }

    private func edit(_ target: CheckpointReader, _ adapter: LowRankAdapter?, _ vector: TaskVector?) throws
        -> @Sendable (TensorSegment, UnsafeMutableRawBufferPointer) throws -> Bool
    {
        if let vector { return { try vector.edit($0, $1) } }
        guard let adapter else { throw JobFailure(.internal, "the order names no direction") }
        let edit = try AdapterVector(
            target: target.manifest, adapter: adapter, scale: context.parameters.scale ?? 1)
        return { try edit.edit($0, $1) }
    }

    /// Tries the scales in memory, smallest first, until one meets the gate, and sets it.
    ///
    /// Where none does, the one that meets most of the gate's conditions is set, of equals the smallest: the job's
    /// own gate then refuses the result, which stays as a candidate.
    private func search(
        _ grid: [Double], _ vector: inout TaskVector, _ files: VersionFiles, _ model: Transformer,
        _ measurement: inout Measurement?, _ sets: Evaluator.Sets
    ) throws -> [ScaleTrial] {
        guard let gate = try context.spec.gate.map({ try Gate.parse($0) }) else {
            throw JobFailure(.badInput, "a search of the scale has no gate", hint: "add --gate")
        }
        // Conditions may be relative to it.
        try measurement?.measureReference()
        let phase = context.phase("search", unit: "trials")
        var trials: [ScaleTrial] = []
        for scale in grid {
            vector.scale = scale
            let edit = vector
            _ = try files.load(into: model, editing: { _ = try edit.edit($0, from: $1, $2) }, context)
            guard let (figures, verdict) = try measurement?.judge(gate, model, sets) else { break }
            let trial = ScaleTrial(
                scale: scale, passed: verdict.passed, met: verdict.conditions.count(where: \.passed),
                figures: figures)
            trials.append(trial)
            try phase.update(trials.count, of: grid.count, figures: ["scale": scale])
            context.log("scale \(scale): \(trial.met) of \(verdict.conditions.count) conditions met")
            if verdict.passed { return trials }
        }
        let best = trials.max { ($0.met, $1.scale) < ($1.met, $0.scale) }
        vector.scale = best?.scale ?? vector.scale
        return trials
    }
}

extension WorkerResult {
    /// What an edit hands over.
    /// - Throws: `JobFailure` with `no-op` for an edit that left every byte as it was; `reason` says why it may be.
    init(edited made: CheckpointRewriter.Result, noOp reason: String) throws {
        guard !made.changedTensors.isEmpty else {
            throw JobFailure(.noOp, "the edit changed nothing: \(reason)", hint: "the model is as it was")
        }
        self.init(manifest: made.manifest, id: made.manifestID, storedBytes: made.storedBytes)
        result = [
            "tensors": .integer(Int64(made.manifest.tensors.count)),
            "changed_tensors": .integer(Int64(made.changedTensors.count)),
            "changed_bytes": .integer(Int64(made.changedBytes)),
        ]
    }
}
