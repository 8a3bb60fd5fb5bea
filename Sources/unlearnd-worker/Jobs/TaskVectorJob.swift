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
        let edit = try edit(target, adapter)

        var measurement: Measurement?
        var sets = Evaluator.Sets()
        let files = VersionFiles(reader: target)
        if context.wantsEvaluation {
            let rows = try RowSets(context)
            sets = try rows.examples(files, try files.configuration(), context.parameters)
            measurement = Measurement(context, rows)
        }
        try context.snapshot(target)
        if measurement != nil {
            let (model, _) = try files.model(try files.configuration(), context)
            try measurement?.before(model, sets)
        }

        let phase = context.phase("edit", unit: "bytes")
        let made = try CheckpointRewriter.rewrite(
            base: target, threads: min(context.threads, Self.mostThreads),
            provenance: try context.provenance(files: adapter?.digests ?? [:]),
            parent: target.manifestID, progress: { try phase.update($0, of: $1) },
            transform: edit)
        var result = try WorkerResult(
            edited: made,
            noOp: adapter == nil
                ? "the fine-tuned version and its base are the same, or the scale is 0"
                : "the adapter is zero, or too small for the stored type, or the scale is 0")

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

    private func edit(_ target: CheckpointReader, _ adapter: LowRankAdapter?) throws
        -> @Sendable (TensorSegment, UnsafeMutableRawBufferPointer) throws -> Bool
    {
        let scale = context.parameters.scale ?? 1
        if let adapter {
            let edit = try AdapterVector(target: target.manifest, adapter: adapter, scale: scale)
            return { try edit.edit($0, $1) }
        }
        let finetuned = try context.reader(context.order.finetuned, "fine-tuned")
        let isOwnBase = context.order.other.map { $0.manifest == target.manifestID } ?? true
        let origin = isOwnBase ? nil : try context.reader(context.order.other, "base")
        let edit = try TaskVector(target: target.manifest, finetuned: finetuned, base: origin, scale: scale)
        return { try edit.edit($0, $1) }
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
