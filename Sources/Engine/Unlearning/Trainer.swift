// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The loop of a training run: step after step it gathers the batches, lets the ``Objective`` add up their gradients,
/// and updates the weights by AdamW.
package struct Trainer {
    /// The numbers of a run.
    package struct Settings: Sendable, Hashable {
        package var epochs: Int
        /// AdamW's rates; its learning rate is the highest of the run.
        package var rates: AdamW.Rates
        package var schedule: LearningRateSchedule
        /// The longest gradient, as its norm over all that is trained; longer ones are scaled down.
        package var clipNorm: Double?
        /// The run ends before the update of the first step whose forget batch has this loss or more; that step
        /// counts for nothing.
        package var maxForgetLoss: Double?

        /// Settings; the defaults are those of the commands.
        package init(
            epochs: Int = 3, learningRate: Double = 1e-5, schedule: LearningRateSchedule = .init(),
            clipNorm: Double? = nil, maxForgetLoss: Double? = nil
        ) {
            self.epochs = epochs
            rates = AdamW.Rates(learningRate: learningRate)
            self.schedule = schedule
            self.clipNorm = clipNorm
            self.maxForgetLoss = maxForgetLoss
        }
    }

    /// One step that was taken.
    package struct Step: Sendable, Hashable {
        package var position: StepPosition
        /// Before the update.
        package var losses: StepLosses
        /// What the update was made with.
        package var learningRate: Double
        /// The gradient's norm before it was clipped, if it was to be.
        package var gradientNorm: Double?

        /// Counts from 1 over the whole run.
        package var number: Int { position.number }
        /// Counts from 1.
        package var epoch: Int { position.epoch }
        /// What was minimised.
        package var loss: Double { losses.loss }
        package var forgetLoss: Double? { losses.forget }
        package var retainLoss: Double? { losses.retain }
    }

    /// What a run came to.
    package struct Outcome: Sendable, Hashable {
        package var epochs: [TrainingEpoch]
        package var steps: Int
        /// The forget loss that ended the run before its last step, if one did.
        package var cappedAt: Double?
        /// Where it stands: nothing is left to do.
        package var state: TrainerState
    }

    private let model: Transformer
    private let data: TrainingData
    private let objective: any Objective
    private let settings: Settings
    private let gradients: FloatStorage
    private let optimizer: AdamW
    private let ranks: Ranks
    /// What each rank sums and moves.
    private let slices: RankSlices
    /// The same of what all ranks hold whole: everything, unless they share the blocks out.
    private let whole: RankSlices
    /// What is trained of what this rank holds.
    private let held: [Range<Int>]
    private let exchange: GradientExchange?
    /// The weights on a card, with gradients and moments, where it trains them.
    private let card: CUDAModel?

    /// What changes from step to step, by name: a run goes on from a ``TrainerState`` when these hold the values that
    /// they had then. Of the moments a rank holds those of its slice, and of shared parameters what it keeps.
    package var buffers: [TrainingStateFile.Buffer] {
        let ranges = model.trainable.ranges
        return [
            TrainingStateFile.Buffer(
                name: "parameters", storage: model.parameters, ranges: ranges,
                held: model.shards == nil ? nil : held)
        ]
            + optimizer.moments.map {
                TrainingStateFile.Buffer(
                    name: $0.name, storage: $0.storage, ranges: ranges, held: slices[ranks.rank])
            }
    }

    /// Keeps the state and the buffers in a file; all ranks call it, the first one writes.
    ///
    /// - Returns: The file's size, bytes; `nil` in the other ranks.
    /// - Throws: ``EngineError`` with `.resources` where it cannot be written: the one before is there then.
    package func write(_ state: TrainerState, identity: JSONValue, to path: String) throws -> Int? {
        let buffers = buffers
        if let card { return try write(state, identity: identity, buffers, from: card, to: path) }
        guard !ranks.isAlone else {
            return try TrainingStateFile.write(state, identity: identity, buffers: buffers, to: path)
        }
        var pieces = TrainingStateFile.pieces(of: buffers)[...]
        let scratch = try FloatStorage(count: TrainingStateFile.piece)
        func collect() throws -> UnsafePointer<Float>? {
            guard let piece = pieces.popFirst() else { return nil }
            let buffer = buffers[piece.buffer]
            if buffer.isWhole { return UnsafePointer(buffer.storage.base + piece.range.lowerBound) }
            try ranks.collect(buffer.storage, piece.range, slices, into: scratch)
            return UnsafePointer(scratch.base)
        }
        guard ranks.isFirst else {
            while try collect() != nil {}
            return nil
        }
        let result = Result {
            try TrainingStateFile.write(state, identity: identity, buffers: buffers, to: path) {
                try collect()
            }
        }
        // The others hand over their values to the end, whatever became of the file.
        while try collect() != nil {}
        return try result.get()
    }

    /// The same of a card's values, which are fetched piece by piece.
    private func write(
        _ state: TrainerState, identity: JSONValue, _ buffers: [TrainingStateFile.Buffer],
        from card: CUDAModel, to path: String
    ) throws -> Int? {
        let places = [card.weights] + (card.training.map { [$0.first, $0.second] } ?? [])
        var pieces = TrainingStateFile.pieces(of: buffers)[...]
        let scratch = try FloatStorage(count: TrainingStateFile.piece)
        return try TrainingStateFile.write(state, identity: identity, buffers: buffers, to: path) {
            guard let piece = pieces.popFirst() else { return nil }
            let place = places[piece.buffer] + piece.range.lowerBound
            try card.card.download(
                place.address,
                into: UnsafeMutableBufferPointer(start: scratch.base, count: piece.range.count))
            return UnsafePointer(scratch.base)
        }
    }

    /// Makes ready to train `model.trainable` in place: memory for gradients and moments, and what the objective needs.
    ///
    /// - Parameters:
    ///   - mask: Which weights may change, of those that are trained at all.
    ///   - ranks: Who trains the same model together; each has the same `data` and computes its rows.
    ///   - progress: Called with the rows that the objective has looked at beforehand; throwing cancels.
    /// - Throws: ``EngineError`` with `.resources`; what `progress` throws.
    package init(
        _ model: Transformer, data: TrainingData, objective: any Objective, settings: Settings,
        mask: WeightMask? = nil, ranks: Ranks = .alone,
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) throws {
        self.model = model
        self.data = data
        self.objective = objective
        self.settings = settings
        self.ranks = ranks
        let ranges = model.trainable.ranges
        if let plan = model.shards?.plan {
            slices = RankSlices(ranges, plan)
            whole = RankSlices(plan.whole(of: ranges), count: ranks.count)
        } else {
            slices = RankSlices(ranges, count: ranks.count)
            whole = slices
        }
        held = model.kept(of: ranges)
        gradients = try model.makeBuffer()
        // A mask clears gradients between the backward pass and the sums.
        exchange = try mask == nil ? GradientExchange(ranks, whole, gradients, of: model) : nil
        optimizer = try AdamW(
            count: model.table.count, ranges: ranks.isAlone ? model.trainable.ranges : slices[ranks.rank],
            rates: settings.rates, context: model.context, pages: model.pages)
        optimizer.mask = mask
        card = try model.context.card.map { card throws(EngineError) in
            guard objective.runsOnCard, mask == nil, ranks.isAlone else {
                throw EngineError(
                    .unsupportedModel, "this way of training cannot be done on a card yet",
                    hint: "Compute with --device cpu.")
            }
            return try CUDAModel(card, model, training: true)
        }
        model.card = card
        defer { model.card = nil }
        try objective.begin(model, progress: progress)
        // What was taken of the base came in batches of its own, perhaps larger than those of a step.
        model.releaseActivations()
        try model.shards?.sum(into: gradients, of: model.trainable)
    }

    /// Fills the buffers with the values in a file; all ranks call it.
    ///
    /// - Throws: ``TrainingStateFile/Unusable`` when they are not the buffers that were written.
    package func read(_ file: TrainingStateFile) throws {
        try model.change { try file.read(into: buffers) }
    }

    /// Trains.
    ///
    /// - Parameters:
    ///   - start: Where to go on; ``buffers`` hold the values of that moment.
    ///   - step: Called after each step; throwing cancels.
    ///   - epoch: Called after each epoch that took a step.
    ///   - state: Called after `step`: the moment to keep the state and the buffers.
    /// - Throws: ``DivergenceError`` when a loss or a weight is not finite; ``EngineError``; what the callbacks throw.
    package func run(
        from start: TrainerState = TrainerState(), step report: (Step) throws -> Void,
        epoch reportEpoch: (TrainingEpoch) throws -> Void,
        state reportState: (TrainerState) throws -> Void = { _ in }
    ) throws -> Outcome {
        var state = start
        if state.steps > 0 {
            optimizer.resume(after: state.optimizerSteps)
            objective.state = state.objective
        }
        if let card {
            if state.steps > 0 {
                try card.upload(model.parameters)
                try card.training?.upload(moments: optimizer.moments.map(\.storage))
            }
            model.card = card
        }
        defer { model.card = nil }
        let total = settings.epochs * data.stepsPerEpoch
        let ranges = model.trainable.ranges
        while state.epoch < settings.epochs, state.cappedAt == nil {
            let began = ContinuousClock.now
            let before = state.sums.seconds
            for rows in data.steps(epoch: state.epoch).dropFirst(state.stepsOfEpoch) {
                let position = StepPosition(
                    number: state.steps + 1, total: total, epoch: state.epoch + 1,
                    stepsPerEpoch: data.stepsPerEpoch)
                try clearGradients(held)
                try model.shards?.beginStep()
                var batches = model.context.timed(.input) { data.batches(rows, at: position, ranks) }
                batches.exchange = exchange
                let own = try objective.accumulate(batches, model, into: gradients)
                try model.shards?.endPasses()
                let losses = try model.context.timed(.exchange) { try ranks.sum(own) }
                if let cap = settings.maxForgetLoss, let loss = losses.forget, loss >= cap {
                    state.cappedAt = loss
                    try model.shards?.finishStep()
                    try exchange?.finish()
                    break
                }
                guard losses.loss.isFinite else {
                    // A NaN has a sign of its own, which says nothing.
                    let value = losses.loss.isNaN ? "NaN" : "\(losses.loss)"
                    throw DivergenceError("the loss became \(value) in step \(position.number) of \(total)")
                }
                // What may not change has no say in the gradient's norm.
                if let mask = optimizer.mask { for range in ranges { mask.clear(gradients, range) } }
                try model.shards?.finishStep()
                if let exchange {
                    try exchange.finish()
                } else {
                    try ranks.reduce(gradients, whole, model.context)
                }
                let (norm, factor) = try clip(ranges)
                if let norm, !norm.isFinite {
                    throw DivergenceError(
                        "the gradient became NaN or infinite in step \(position.number) of \(total)")
                }
                optimizer.rates.learningRate =
                    settings.rates.learningRate * settings.schedule.factor(step: position.number, of: total)
                if let card {
                    card.isAhead = true
                    try card.training?.step(card, ranges, optimizer.advance(), factor: factor)
                } else {
                    try model.change { optimizer.step(model.parameters, gradients) }
                }
                try model.context.timed(.exchange) { try ranks.spread(model.parameters, whole) }
                objective.finish(position, losses)
                state.steps = position.number
                state.stepsOfEpoch += 1
                state.optimizerSteps = optimizer.steps
                state.objective = objective.state
                state.sums.add(losses)
                state.sums.seconds = before + (ContinuousClock.now - began) / .seconds(1)
                try report(
                    Step(
                        position: position, losses: losses, learningRate: optimizer.rates.learningRate,
                        gradientNorm: norm))
                try reportState(state)
            }
            if state.sums.steps > 0 {
                let figures = state.sums.epoch(state.epoch + 1)
                state.epochs.append(figures)
                try reportEpoch(figures)
            }
            state.epoch += 1
            state.stepsOfEpoch = 0
            state.sums = TrainerState.Sums()
        }
        if let card {
            try card.download(into: model.parameters)
            card.isAhead = false
            card.releaseBuffers()
        }
        model.shards?.stopSums()
        let broken = try countBroken()
        guard broken == 0 else { throw DivergenceError("\(broken) weights became NaN or infinite") }
        return Outcome(epochs: state.epochs, steps: state.steps, cappedAt: state.cappedAt, state: state)
    }

    /// How many weights are not finite, of all ranks together where they share them out.
    private func countBroken() throws -> Int {
        let counts = model.kept(of: [0..<model.table.count]).map { range in
            UnsafeBufferPointer(start: model.parameters.base + range.lowerBound, count: range.count)
                .countNotFinite()
        }
        let own = counts.reduce(0, +)
        return model.shards == nil ? own : Int(try ranks.sum(Double(own)))
    }

    private func clearGradients(_ ranges: [Range<Int>]) throws {
        if let training = card?.training {
            try training.clear(ranges)
        } else {
            model.context.clear(gradients, ranges)
        }
    }

    /// The gradient's norm, if it is to be clipped, and what a card is to multiply it by; elsewhere that is done.
    private func clip(_ ranges: [Range<Int>]) throws -> (norm: Double?, factor: Float) {
        guard let limit = settings.clipNorm else { return (nil, 1) }
        guard let training = card?.training else {
            let own = ranks.isAlone ? ranges : slices[ranks.rank]
            return (try model.context.clip(gradients, own, to: limit, ranks: ranks), 1)
        }
        let norm = try training.norm(ranges)
        let factor = limit / (norm + 1e-6)
        return (norm, factor >= 1 ? 1 : Float(factor))
    }
}
