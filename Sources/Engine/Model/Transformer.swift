// SPDX-License-Identifier: Apache-2.0

import CKernels

/// The sum of the negative log-likelihoods (or divergences) of a batch's labelled tokens.
package struct LossSum: Sendable, Hashable {
    /// Nats, summed in double. Not finite if the model has diverged: that is for the caller to judge.
    package var nll: Double
    /// How many labelled tokens there were.
    package var tokens: Int
    /// Nats per labelled token.
    package var mean: Double { nll / Double(tokens) }

    /// Adds a further batch's sum.
    package static func += (sum: inout LossSum, other: LossSum) {
        sum.nll += other.nll
        sum.tokens += other.tokens
    }
}

/// How one labelled token was predicted.
package struct PositionScore: Sendable, Hashable, BitwiseCopyable {
    /// Negative log-likelihood, nats.
    package var nll: Float
    /// Whether the label was the first of the most likely tokens.
    package var correct: Bool
    /// Mean and variance of ln p over the vocabulary, weighted by p; `nil` unless asked for.
    package var moments: LogMoments?
}

/// Mean and variance of the log-probabilities at one place, under the probabilities themselves.
package struct LogMoments: Sendable, Hashable, BitwiseCopyable {
    /// Minus the entropy, nats.
    package var mean: Float
    package var variance: Float
}

/// A decoder of any supported architecture in f32: forward, losses, gradients.
///
/// Parameters and gradients are flat buffers that the caller owns, laid out by ``table``. Not for use by several
/// threads at once: it computes on all threads of its context itself.
package final class Transformer {
    package let configuration: ModelConfiguration
    /// The places of the parameters.
    package let table: ParameterTable
    /// The weights; `table.count` values.
    package let parameters: FloatStorage
    /// What it computes on.
    package let context: ComputeContext
    /// Whether training keeps each block's input alone and computes the block again in the backward pass: the same
    /// bits from a fraction of the memory, for about a third more work.
    package let checkpointing: Bool
    /// What gradients are taken of; at first everything.
    package var trainable: Trainable
    /// The weights on a card, while passes run there; see ``onCard(_:)``.
    var card: CUDAModel?
    /// Learns of each block whose gradients are done, during the last backward pass of a step.
    var exchange: GradientExchange?
    /// Where the blocks' parameters are, if several ranks share them out: ``parameters`` has only this rank's then.
    package private(set) var shards: ParameterShards?

    /// The adapters that it was made with.
    let adapterSettings: AdapterSettings?
    let layout: ModelLayout
    private var activations: Activations?
    private var rotary: [RotaryEmbedding: RotaryTable] = [:]

    /// A model with room for its weights, all zero: load or initialise them.
    ///
    /// - Parameters:
    ///   - adapters: Those that are trained instead of the weights; none unless given.
    ///   - owners: The ranks that share the blocks' parameters out, all of which make this model; nobody unless given.
    /// - Throws: ``EngineError`` with `.invalidConfiguration` for sizes beyond reason, `.tensorMismatch` for adapters
    ///   of modules that the model lacks, `.resources` without memory; what ``ParameterShards`` needs and has not.
    package init(
        _ configuration: ModelConfiguration, context: ComputeContext, checkpointing: Bool = false,
        adapters: AdapterSettings? = nil, sharedBy owners: Ranks? = nil
    ) throws(EngineError) {
        self.configuration = configuration
        self.context = context
        self.checkpointing = checkpointing
        adapterSettings = adapters
        var layout = try ModelLayout(configuration)
        if let adapters { try layout.attach(adapters) }
        self.layout = layout
        table = layout.table
        trainable =
            adapters == nil ? Trainable(all: table) : Trainable(layout.table, where: \.isAdapter)
        parameters = try FloatStorage(count: table.count, pages: owners == nil ? .large : .small)
        shards = try owners.map { owners throws(EngineError) in
            try ParameterShards(owners, table, parameters, context)
        }
    }

    /// A buffer as large as the parameters: for gradients or a second set of weights.
    package func makeBuffer() throws(EngineError) -> FloatStorage {
        try FloatStorage(count: table.count, pages: pages)
    }

    /// Which pages hold what is laid out as the parameters are: small ones where only parts of it are used.
    var pages: FloatStorage.Pages { shards == nil ? .large : .small }

    /// Runs `body`, which changes the parameters that this process keeps; where several share them, all ranks call it.
    package func change<Result>(_ body: () throws -> Result) throws -> Result {
        guard let shards else { return try body() }
        return try shards.change(body)
    }

    /// What this process keeps of some parameters.
    package func kept(of ranges: [Range<Int>]) -> [Range<Int>] {
        guard let shards else { return ranges }
        return ranges.flatMap { shards.kept(of: $0) }
    }

    /// Bytes that are mapped for activations now: what the largest batch so far took, as ``MemoryEstimate`` tells.
    package var activationBytes: Int { activations?.bytes ?? 0 }

    /// How each labelled token of each row is predicted, in order of position (position 0 never counts).
    ///
    /// - Parameters:
    ///   - moments: Whether to take the moments of ln p at each place too.
    ///   - observer: Sees the pass; nobody does unless given.
    /// - Throws: ``EngineError`` with `.invalidBatch`.
    package func score(
        _ batch: TokenBatch, moments: Bool = false, observer: PassObserver? = nil
    ) throws(EngineError) -> [[PositionScore]] {
        let packed = try PackedBatch(batch, configuration: configuration)
        var scores: [PositionScore] = []
        if let card, observer == nil, !packed.targets.isEmpty {
            scores = try card.score(packed, moments: moments)
        } else if !packed.targets.isEmpty {
            let pass = try pass(packed, training: false, observer: observer)
            try forward(pass)
            normScored(pass.packed, pass.weights, pass.activations)
            scores = self.scores(packed, pass.activations, moments: moments)
        }
        return packed.byRow(scores)
    }

    /// The logits after each token, (T, V), or after the last one alone, (V).
    ///
    /// - Throws: ``EngineError`` with `.invalidBatch`.
    package func logits(_ tokens: [Int32], lastOnly: Bool) throws(EngineError) -> [Float] {
        var packed = try PackedBatch(
            runs: [(row: 0, tokens: tokens, position: 0)], configuration: configuration)
        packed.predictors = lastOnly ? [tokens.count - 1] : Array(0..<tokens.count)
        packed.targets = [Int32](repeating: 0, count: packed.predictors.count)
        return try logits(packed, cache: nil)
    }

    /// The logits after each predictor, (predictors, V). Keys and values are added to the cache, not counted in.
    func logits(_ packed: PackedBatch, cache: KeyValueCache?) throws(EngineError) -> [Float] {
        let pass = try pass(packed, training: false, cache: cache)
        try forward(pass)
        normScored(pass.packed, pass.weights, pass.activations)
        return [Float](unsafeUninitializedCapacity: packed.targets.count * configuration.vocabularySize) {
            out, count in
            count = packed.targets.count * configuration.vocabularySize
            guard let base = out.baseAddress else { return }
            project(
                pass.weights, pass.activations.scoredNormed, rows: packed.targets.count, into: base)
        }
    }

    func labelled(_ batch: TokenBatch) throws(EngineError) -> PackedBatch {
        let packed = try PackedBatch(batch, configuration: configuration)
        guard !packed.targets.isEmpty else {
            throw EngineError(
                .invalidBatch, "none of the batch's \(batch.rows) rows has a label to predict",
                hint: "Labels count from the second token of a row on; give rows that have some.")
        }
        return packed
    }

    /// A pass over a batch with these weights (the model's own unless given).
    func pass(
        _ packed: PackedBatch, _ weights: UnsafePointer<Float>? = nil, training: Bool,
        cache: KeyValueCache? = nil, observer: PassObserver? = nil
    ) throws(EngineError) -> BlockPass {
        precondition(card?.isAhead != true, "the weights here are old: those on the card are being trained")
        return BlockPass(
            packed: packed, weights: weights ?? UnsafePointer(parameters.base),
            activations: try prepare(packed, training: training), cache: cache,
            observer: observer)
    }

    /// Memory for a batch, and rotations up to its longest row.
    private func prepare(_ packed: PackedBatch, training: Bool) throws(EngineError) -> Activations {
        let longest = packed.sequences.map { $0.position + $0.length }.max() ?? 1
        for layer in 0..<configuration.layers {
            guard let embedding = configuration.rotary(layer), (rotary[embedding]?.length ?? 0) < longest
            else {
                continue
            }
            let length = max(longest, 2 * (rotary[embedding]?.length ?? 128))
            rotary[embedding] = try RotaryTable(embedding, length: min(configuration.contextLength, length))
        }
        var size = Activations.Size(
            tokens: packed.tokens.count, predictors: packed.targets.count, longest: longest,
            training: training, checkpointing: checkpointing)
        if let activations, activations.fits(size) { return activations }
        if let old = activations?.size, old.training == training {
            size.tokens = max(size.tokens, old.tokens)
            size.predictors = max(size.predictors, old.predictors)
            size.longest = max(size.longest, old.longest)
        }
        activations = nil
        let made = try Activations(configuration, size: size, threads: context.pool.threads)
        activations = made
        return made
    }

    /// Gives back the memory of the last pass: what comes next is of another size, or has other uses for it.
    package func releaseActivations() { activations = nil }

    /// Rotations of queries and keys in `layer`, up to the longest row of the pass.
    func rotaryTable(_ layer: Int) -> RotaryTable? { configuration.rotary(layer).flatMap { rotary[$0] } }
}
