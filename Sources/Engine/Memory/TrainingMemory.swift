// SPDX-License-Identifier: Apache-2.0

import Protocol

/// How much memory a training job takes, before it begins: computed from what it would allocate.
package struct TrainingMemory: Sendable {
    /// What a worker has resident besides what is counted below: code, libraries, the threads' buffers, packed operands
    /// of the matrix products. Measured (`VmHWM` less the rest, over runs of a model of 25 million parameters).
    static let process = 72 << 20
    /// What OpenMPI takes of each of several ranks, with its shared memory. Measured likewise.
    static let library = 4 << 20
    /// What NVIDIA's libraries take of the processor's memory, and what they take of a card's beside what is asked of them. Not
    /// measured: no card was to be had.
    static let driver = 512 << 20
    static let cardReserve = 256 << 20
    /// Rows that are looked at together when an objective takes down what the base says, before the first step.
    static let preparedRows = 4
    /// Pages that are touched at once: 2 MiB. A run of trained values takes whole ones.
    private static let page = (2 << 20) / MemoryLayout<Float>.stride

    package var configuration: ModelConfiguration
    /// Rows that are in memory together.
    package var rows: Int
    /// The rows that are trained on.
    package var sizes: RowSizes
    /// What the objective puts beside each of them, if it does.
    package var others: RowSizes?
    package var threads: Int
    /// Whether a card trains and measures.
    package var onCard = false
    /// Processes on this machine that train together.
    package var ranks = 1
    /// Whether they share out the parameters of the blocks.
    package var isSharded = false
    package var checkpointing = false
    package var adapters: AdapterSettings?
    /// What of the weights is trained, without adapters.
    package var layers: LayerSelection?
    package var train: [String] = []
    package var freeze: [String] = []
    /// Buffers as large as the parameters that the objective holds.
    package var copies = 0
    /// Further memory that it holds, bytes.
    package var cached = 0
    /// The block that activations are taken behind, where no logits are computed: those after it do not run.
    package var steered: Int?
    /// Answers that the base gives before the first step.
    package var drawn: ContinuedTexts?
    /// What is measured and attacked before and after; `nil` for nothing.
    package var measuring: MeasuringMemory?

    /// A run of these sizes.
    package init(_ configuration: ModelConfiguration, rows: Int, length: Int, threads: Int = 2) {
        self.init(
            configuration, rows: rows, sizes: RowSizes(length: length, rows: rows), threads: threads)
    }

    private init(_ configuration: ModelConfiguration, rows: Int, sizes: RowSizes, threads: Int) {
        self.configuration = configuration
        self.rows = rows
        self.sizes = sizes
        self.threads = threads
    }

    /// A job's run.
    ///
    /// - Parameter sizes: Of the rows that are trained on.
    package init(
        _ configuration: ModelConfiguration, _ kind: JobKind, _ parameters: JobParameters, sizes: RowSizes,
        measuring: MeasuringMemory, threads: Int
    ) {
        self.init(configuration, rows: parameters.batchSize ?? 4, sizes: sizes, threads: threads)
        ranks = parameters.ranks ?? 1
        isSharded = parameters.shardParameters == true && ranks > 1
        onCard = parameters.device == .cuda
        checkpointing = parameters.checkpointActivations ?? false
        adapters = AdapterSettings(parameters)
        layers = parameters.trainLayers
        train = parameters.trainTensors ?? []
        freeze = parameters.freezeTensors ?? []
        // Other answers are taken to be as long; drawn ones may come to their limit.
        if RowRequirement(kind) != nil { others = sizes }
        if kind == .altpo {
            let maximum = parameters.maxNewTokens ?? MethodDefaults.alternateTokens
            others = sizes.changed(to: configuration.contextLength, adding: maximum)
            drawn = ContinuedTexts(
                count: ComputeContext.independentRows, prompt: sizes.length, maximum: maximum)
        }
        // What is kept of the base is at most a copy of the weights; only the rows can tell how much less.
        copies =
            (parameters.retainLoss == .kl || kind == .undial ? 1 : 0) + (parameters.samRho == nil ? 0 : 1)
        if kind == .rmu, (parameters.retainLoss ?? .activations) == .activations {
            steered = parameters.layer ?? MethodDefaults.layer(of: configuration.layers)
        }
        self.measuring = measuring.isEmpty ? nil : measuring
    }

    /// The peak of the worker's resident size, bytes.
    ///
    /// Weights, what is trained of gradients and AdamW's two moments, the objective's copies, and the memory of the
    /// largest batch, all f32; or the weights and the batch that is measured, or that the base is asked with, if that
    /// is more. Each of several ranks holds all that but its share of the rows and a slice of the moments; if they share the
    /// blocks out, slices of these, two whole ones, and the gradients of two.
    /// - Throws: ``EngineError`` for a model that cannot be, and for names that it lacks.
    package func predict() throws(EngineError) -> Int {
        var layout = try ModelLayout(configuration)
        if let adapters { try layout.attach(adapters) }
        let table = layout.table
        let trainable =
            adapters == nil
            ? try Trainable(table, layers: layers, train: train, freeze: freeze)
            : Trainable(table, where: \.isAdapter)
        if isSharded, !onCard { return try predict(shared: table, trainable) }
        let trained = trainable.ranges.reduce(0) { $0 + Self.touched($1) }
        if onCard {
            // Gradients and activations are on the card; moments come here when the run goes on from a checkpoint.
            return Self.process + Self.driver + MemoryLayout<Float>.stride * (table.count + 2 * trained)
        }
        let copied = adapters == nil ? copies * table.count : 0
        let own = Ranks.rowsPerRank(rows, count: ranks)
        let training =
            table.count + trained + 2 * trained / ranks + copied
            + activations(batch(of: own)) + (ranks > 1 ? Ranks.scratch : 0)
        let measuring = measuring?.floats(weights: table.count) ?? 0
        // What an objective takes down of the base, it takes before gradients and moments exist.
        let preparing =
            copied > 0 || cached > 0
            ? table.count + copied + activations(sizes.batch(of: Self.preparedRows)) : 0
        let drawing =
            drawn.map { table.count + $0.floats(configuration) + activations(sizes.batch(of: 1)) } ?? 0
        let working = MemoryLayout<Float>.stride * max(training, preparing, drawing) + cached
        let writing =
            MemoryLayout<Float>.stride * table.count + CheckpointMemory.rewriting(threads: threads)
        let process = Self.process + (ranks > 1 ? Self.library : 0)
        // Ranks share the training and what is measured; the first writes.
        let each = process + max(working, MemoryLayout<Float>.stride * measuring)
        return max(each, process + writing) + (ranks - 1) * each
    }

    /// The same of all ranks together where they share the parameters out.
    private func predict(shared table: ParameterTable, _ trainable: Trainable) throws(EngineError) -> Int {
        let plan = ShardPlan(table, ranks: ranks)
        let rest = table.count - plan.shared
        let trainedRest = plan.whole(of: trainable.ranges).reduce(0) { $0 + $1.count }
        let trainedBlocks = trainable.count - trainedRest
        let others = plan.longest - plan.longest / ranks
        let weights = rest + plan.shared / ranks + 2 * others
        let own = Ranks.rowsPerRank(rows, count: ranks)
        var training =
            weights + trainedRest + (trainedBlocks + 2 * trainable.count) / ranks
            + activations(batch(of: own)) + min(Ranks.scratch, trainedRest)
        if trainedBlocks > 0 {
            training +=
                ShardedGradients.places * plan.longest
                + min(Ranks.scratch, plan.longest) / ranks * (ranks - 1)
        }
        let measured = measuring?.floats(weights: weights) ?? 0
        let preparing = cached > 0 ? weights + activations(sizes.batch(of: Self.preparedRows)) : 0
        let drawing = drawn.map { weights + $0.floats(configuration) + activations(sizes.batch(of: 1)) } ?? 0
        let working = MemoryLayout<Float>.stride * max(training, preparing, drawing) + cached
        let writing =
            MemoryLayout<Float>.stride * weights + CheckpointMemory.rewriting(threads: threads)
            + CheckpointMemory.fetching(threads: threads)
        let process = Self.process + Self.library
        let each = process + max(working, MemoryLayout<Float>.stride * measured)
        return max(each, process + writing) + (ranks - 1) * each
    }

    /// Floats that become resident when the values of `range` are used.
    private static func touched(_ range: Range<Int>) -> Int {
        guard range.count >= page else { return range.count }
        return (range.upperBound + page - 1) / page * page - range.lowerBound / page * page
    }

    /// The largest batch of `rows` rows, with what the objective puts beside them.
    private func batch(of rows: Int) -> RowSizes.Batch {
        others.map { sizes.batch(of: rows) + $0.batch(of: rows) } ?? sizes.batch(of: rows)
    }

    /// Floats that a step over a batch takes.
    private func activations(_ batch: RowSizes.Batch) -> Int {
        let passes = PassMemory(
            configuration: configuration, threads: threads, checkpointing: checkpointing)
        guard let steered else {
            return passes.floats(batch, training: true, reference: copies > 0 || cached > 0)
        }
        // Neither logits nor what lies behind the steered block.
        let plan = passes.plan(batch, training: true)
        let idle = max(0, configuration.layers - 1 - steered)
        return plan.total - 2 * plan.logitRows * configuration.vocabularySize
            - idle * plan.stream - min(idle, plan.slots - 1) * plan.blockParts.reduce(0, +)
    }

    /// The peak of what is used of a card's memory, bytes: all that is allocated there, and a reserve for what the driver and
    /// cuBLASLt take by themselves.
    /// - Throws: ``EngineError`` for a model that cannot be, or not on a card.
    package func predictCard() throws(EngineError) -> Int {
        try CUDASupport.require(configuration)
        let table = try ModelLayout(configuration).table
        func bytes(_ batch: RowSizes.Batch, training: Bool) -> Int {
            let plan = CUDAPlan(
                configuration,
                CUDAPlan.Size(
                    tokens: max(1, batch.tokens), predictors: max(1, batch.predictors),
                    sequences: max(1, batch.rows), training: training,
                    checkpointing: training && checkpointing))
            return CUDAPlan.weights(configuration, table, training: training) + plan.total
        }
        let training = bytes(batch(of: rows), training: true)
        let measuring = measuring?.batch.map { bytes($0, training: false) } ?? 0
        return max(training, measuring) + CUDACard.workspace + Self.cardReserve
    }

    /// The prediction for a card, and what changes of the job's options would make of it.
    package func cardAnswer(_ parameters: JobParameters) throws(EngineError) -> MemoryAnswer {
        try answer(parameters) { memory throws(EngineError) in try memory.predictCard() }
    }

    /// The prediction, and what changes of the job's options would make of it.
    package func answer(_ parameters: JobParameters) throws(EngineError) -> MemoryAnswer {
        var answer = try answer(parameters) { memory throws(EngineError) in try memory.predict() }
        // A model that no card can compute is refused by the job.
        if onCard { answer.card = (try? predictCard()).map(Int64.init) }
        return answer
    }

    /// Whether several ranks could share the parameters out: nothing of the job needs them, or their gradients, whole.
    private func canShard(_ parameters: JobParameters) -> Bool {
        ranks > 1 && !isSharded && !onCard && parameters.mask == nil && parameters.samRho == nil
            && (copies == 0 || adapters != nil) && measuring?.needsWholeWeights != true
    }

    private func answer(
        _ parameters: JobParameters, _ predict: @escaping (TrainingMemory) throws(EngineError) -> Int
    ) throws(EngineError) -> MemoryAnswer {
        var ways = try MemoryWays(self, predict)
        if !checkpointing { try ways.consider("--checkpoint-activations") { $0.checkpointing = true } }
        let rowsPerStep = rows * (parameters.accumulate ?? 1)
        if rows > ranks, rowsPerStep % ranks == 0 {
            try ways.consider("--batch-size \(ranks) --accumulate \(rowsPerStep / ranks)") {
                $0.rows = ranks
                $0.measuring?.learn(from: ranks)
            }
        }
        if adapters == nil, train.isEmpty, freeze.isEmpty, !onCard {
            try ways.consider("--lora-rank 8") {
                $0.adapters = AdapterSettings(
                    rank: 8, alpha: 8, targets: [AdapterSettings.allLinear], layers: $0.layers)
            }
        }
        if canShard(parameters) { try ways.consider("--shard-parameters") { $0.isSharded = true } }
        if sizes.length > 128 {
            try ways.consider("--max-length 128") {
                $0.sizes = $0.sizes.changed(to: 128)
                $0.others = $0.others?.changed(to: 128)
                $0.measuring = $0.measuring?.cut(to: 128)
            }
        }
        return try ways.answer()
    }
}

extension AdapterSettings {
    /// The adapters that a job asks for, if it does.
    package init?(_ parameters: JobParameters) {
        guard let rank = parameters.loraRank else { return nil }
        self.init(
            rank: rank, alpha: parameters.loraAlpha ?? Double(rank),
            targets: parameters.loraTargets ?? [Self.allLinear], layers: parameters.trainLayers)
    }
}
