// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Engine
import Protocol

/// What all jobs that train have in common: measure, train, write, measure again.
struct TrainingJob {
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
        try context.requireCard(for: configuration)
        rows = try RowSets(context)
        sets = try rows.examples(files, configuration, context.parameters)
    }

    /// The batches of one set.
    func batcher(_ examples: [Example], _ stream: DataStream) -> Batcher {
        Batcher(
            examples: examples, batchSize: max(1, context.parameters.batchSize ?? 4),
            accumulate: max(1, context.parameters.accumulate ?? 1),
            seed: context.spec.seed ?? 0, stream: stream, shuffle: context.parameters.shuffle ?? true)
    }

    /// The numbers of the run that every objective shares.
    private var settings: Trainer.Settings {
        let parameters = context.parameters
        let defaults = Trainer.Settings()
        var settings = Trainer.Settings(
            epochs: parameters.epochs ?? defaults.epochs,
            learningRate: parameters.learningRate ?? defaults.rates.learningRate,
            schedule: LearningRateSchedule(
                parameters.schedule ?? .constant, warmup: parameters.warmupSteps ?? 0),
            clipNorm: parameters.clipNorm, maxForgetLoss: parameters.maxForgetLoss)
        if let decay = parameters.weightDecay { settings.rates.weightDecay = decay }
        if let epsilon = parameters.epsilon { settings.rates.epsilon = epsilon }
        if let betas = parameters.betas, betas.count == 2 {
            (settings.rates.beta1, settings.rates.beta2) = (betas[0], betas[1])
        }
        return settings
    }

    /// Trains towards `objective` on `data` and writes the new version.
    ///
    /// - Parameter start: Gets the model before its first step.
    func run(
        _ data: TrainingData, _ objective: any Objective, start: (Transformer) throws -> Void = { _ in }
    ) throws -> WorkerResult {
        try requireSharable(objective)
        try predictMemory(data, objective)
        try context.snapshot(base)
        let parameters = context.parameters
        let (model, loaded) = try files.model(
            configuration, context, checkpointing: parameters.checkpointActivations ?? false,
            adapters: AdapterSettings(parameters))
        do {
            return try run(model, loaded, data, objective, start)
        } catch let error as EngineError where error.code == .rankFailure {
            // What another rank says of itself says more.
            throw model.shards?.cause ?? error
        }
    }

    private func run(
        _ model: Transformer, _ loaded: ModelLoader.Outcome, _ data: TrainingData,
        _ objective: any Objective, _ start: (Transformer) throws -> Void
    ) throws -> WorkerResult {
        let parameters = context.parameters
        try loaded.requireFinite()
        if model.hasAdapters {
            model.initializeAdapters(seed: context.spec.seed ?? 0)
        } else {
            model.trainable = try Trainable(
                model.table, layers: parameters.trainLayers, train: parameters.trainTensors ?? [],
                freeze: parameters.freezeTensors ?? [])
        }
        var measurement = context.wantsEvaluation ? Measurement(context, rows) : nil
        let checkpoints = try TrainingCheckpoints(context)
        let saved = try checkpoints.open()
        // Again, where the job goes on: its evidence is made in one piece.
        try measurement?.before(model, sets)

        try start(model)
        let outcome = try train(model, data, objective, checkpoints, saved)
        // The writer needs room for chunks and their compression.
        model.releaseActivations()
        let adapter = model.adapterFiles()
        try model.mergeAdapters()
        let writer = ModelWriter(model, bindings: loaded.bindings)
        let phase = context.phase("write", unit: "bytes")
        let made = try CheckpointRewriter.rewrite(
            base: base, threads: context.threads, provenance: try context.provenance(),
            parent: base.manifestID, attachments: adapter, partners: context.partners,
            progress: { try phase.update($0, of: $1) }, transform: { try writer.write($0, $1) })
        let capped = outcome.steps == 0 && outcome.cappedAt != nil
        var result = try WorkerResult(
            edited: made,
            noOp: capped
                ? "the forget loss is at --max-forget-loss before the first step"
                : "no weight moved far enough for its stored type; try a higher --learning-rate")
        if var figures = result.result?.objectValue {
            figures["steps"] = .integer(Int64(outcome.steps))
            figures["stopped_at_forget_loss"] = outcome.cappedAt.map { .number($0) } ?? .null
            result.result = .object(figures)
        }
        result.training = outcome.epochs

        if measurement != nil {
            // What is measured is what is committed: the rounded values, read back.
            let written = VersionFiles(
                reader: try CheckpointReader(store: context.store, manifestID: made.manifestID))
            _ = try written.load(into: model, context)
            try measurement?.after(model, sets)
        }
        try model.shards?.close()
        try measurement?.reference()
        result.evaluation = measurement?.report
        return result
    }

    /// Refuses objectives that would keep a second set of weights, where ranks share the first out because it is too large.
    private func requireSharable(_ objective: any Objective) throws {
        guard context.owners != nil, objective.copies > 0, context.parameters.loraRank == nil else { return }
        throw JobFailure(
            .unsupported,
            "what the base says of these rows is larger than its weights, a copy of which --shard-parameters cannot share out",
            hint: "give fewer rows, train adapters (--lora-rank), or leave --retain-loss kl out")
    }

    /// The weights that may change, where the order lets the gradients choose them.
    private func mask(_ model: Transformer) throws -> WeightMask? {
        let parameters = context.parameters
        guard let kind = parameters.mask, let forget = sets.forget else { return nil }
        let phase = context.phase("mask", unit: "batches")
        let mask = try WeightMask.choose(
            kind, model, forget: forget, retain: sets.retain, ratio: parameters.maskRatio ?? 0.5,
            batchSize: parameters.batchSize ?? 4
        ) { try phase.update($0, of: $1) }
        context.log(
            "\(kind.rawValue) mask: \(mask.count) of \(model.table.parameterCount) weights may change")
        return mask
    }

    /// Gradients and moments live only as long as this runs.
    private func train(
        _ model: Transformer, _ data: TrainingData, _ objective: any Objective,
        _ checkpoints: TrainingCheckpoints, _ saved: TrainingStateFile?
    ) throws -> Trainer.Outcome {
        let settings = settings
        let preparation = context.phase("prepare", unit: "rows")
        let phase = context.phase(Phase.training, unit: "steps")
        let total = settings.epochs * data.stepsPerEpoch
        let trainer = try Trainer(
            model, data: data, objective: objective, settings: settings, mask: mask(model),
            ranks: context.ranks
        ) {
            try preparation.update($0, of: $1)
        }
        let state = try checkpoints.restore(saved, trainer)
        try phase.update(state.steps, of: total)
        let outcome = try context.profiled("edit") {
            try trainer.run(from: state) { step in
                var figures = step.losses.figures.merging(step.losses.settings) { $1 }
                figures["epoch"] = Double(step.epoch)
                figures["loss"] = step.loss
                figures["forget_loss"] = step.forgetLoss
                figures["retain_loss"] = step.retainLoss
                figures["learning_rate"] = step.learningRate
                figures["gradient_norm"] = step.gradientNorm
                try phase.update(step.number, of: total, figures: figures)
            } epoch: {
                try context.send(.epoch($0))
            } state: {
                try checkpoints.stepped($0, of: total, trainer)
            }
        }
        try checkpoints.finished(outcome.state, of: total, trainer)
        if let loss = outcome.cappedAt {
            context.log("stopped after \(outcome.steps) of \(total) steps: the forget loss is \(loss)")
        }
        return outcome
    }

    /// Predicts the memory of the run from the very rows, and refuses what cannot fit.
    private func predictMemory(_ data: TrainingData, _ objective: any Objective) throws {
        var memory = TrainingMemory(
            configuration, context.spec.kind, context.parameters,
            sizes: RowSizes(data.batchers.map(\.examples)),
            measuring: context.measuringMemory(configuration, sets), threads: context.compute.pool.threads)
        memory.others = objective.otherAnswers
        (memory.copies, memory.cached) = (objective.copies, objective.cachedBytes)
        try context.predictMemory(memory.answer(context.parameters))
        guard let card = context.compute.card else { return }
        guard objective.runsOnCard else {
            throw JobFailure(
                .unsupported, "this way of training cannot be done on a card yet",
                hint: "use --device cpu")
        }
        try admit(memory, to: card)
    }

    /// Refuses what the card has no room for now: nothing has been computed yet.
    private func admit(_ memory: TrainingMemory, to card: CUDACard) throws {
        let answer = try memory.cardAnswer(context.parameters)
        let free = Int64(try card.freeMemory())
        guard answer.memory <= free else {
            throw JobFailure(
                .memory,
                "training needs about \(answer.memory >> 20) MiB of the card's memory; \(card.name) has \(free >> 20) MiB free of \(card.memory >> 20) MiB",
                hint: answer.hint(limit: free, of: "card"))
        }
        context.log("memory of the card is predicted to peak at \(answer.memory >> 20) MiB")
    }
}
