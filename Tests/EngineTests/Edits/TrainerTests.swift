// SPDX-License-Identifier: Apache-2.0

import Engine
import Protocol
import Testing

/// The training loops over the golden models; the arithmetic of one step is compared with PyTorch elsewhere.
struct TrainerTests {
    private func pairs(_ golden: GoldenModel, pairing: Pairing? = .min, shuffle: Bool = true) throws
        -> PairedBatches
    {
        try PairedBatches(
            forget: Batcher(
                examples: golden.examples("forget"), batchSize: 2, seed: 9, stream: .forget, shuffle: shuffle
            ),
            retain: Batcher(
                examples: golden.examples("retain"), batchSize: 3, seed: 9, stream: .retain, shuffle: shuffle
            ),
            pairing: pairing)
    }

    private func run(
        _ model: Transformer, _ data: TrainingData, _ objective: any Objective, _ settings: Trainer.Settings
    ) throws -> (outcome: Trainer.Outcome, steps: [Trainer.Step]) {
        var steps: [Trainer.Step] = []
        let outcome = try Trainer(model, data: data, objective: objective, settings: settings).run {
            steps.append($0)
        } epoch: { _ in
        }
        return (outcome, steps)
    }

    private func ascent(_ alpha: Double) -> UnlearningObjective {
        UnlearningObjective(
            forget: LikelihoodTerm(rising: true), retain: LikelihoodTerm(), weights: .mix(alpha))
    }

    @Test(arguments: GoldenModel.names)
    func `ascent is the weighted sum of both gradients and AdamW`(name: String) throws {
        let golden = try GoldenModel(name)
        let pairs = try pairs(golden)
        let trained = try golden.load()
        let settings = Trainer.Settings(epochs: 2, learningRate: 1e-3)
        let (outcome, steps) = try run(trained, .pairs(pairs), ascent(0.3), settings)

        let model = try golden.load()
        let gradients = try model.makeBuffer()
        let optimizer = try AdamW(
            count: model.table.count, rates: AdamW.Rates(learningRate: 1e-3), context: model.context)
        var losses: [(forget: Double, retain: Double)] = []
        for epoch in 0..<2 {
            for rows in pairs.steps(epoch: epoch) {
                gradients.clear()
                let forget = try model.accumulateGradients(
                    pairs.forget.batch(rows.forget), scale: -0.3, into: gradients)
                let retain = try model.accumulateGradients(
                    pairs.retain.batch(rows.retain), scale: 0.7, into: gradients)
                optimizer.step(model.parameters, gradients)
                losses.append((forget.mean, retain.mean))
            }
        }
        #expect(trained.weights == model.weights)
        #expect(steps.map(\.number) == Array(1...2 * pairs.stepsPerEpoch) && outcome.steps == steps.count)
        #expect(
            steps.map(\.forgetLoss) == losses.map { $0.forget }
                && steps.map(\.retainLoss) == losses.map { $0.retain })
        let epoch = try #require(outcome.epochs.last)
        let own = losses.suffix(pairs.stepsPerEpoch)
        let mean = own.map { -0.3 * $0.forget + 0.7 * $0.retain }.reduce(0, +) / Double(own.count)
        #expect(abs(try #require(epoch.loss) - mean) < 1e-12 && epoch.steps == pairs.stepsPerEpoch)
    }

    @Test func `a term without weight moves nothing`() throws {
        let golden = try GoldenModel("gpt2")
        let pairs = try pairs(golden, pairing: .cycle)
        let alone = try golden.load()
        let settings = Trainer.Settings(epochs: 1, learningRate: 1e-3)
        _ = try run(
            alone, .forgetting(pairs.forget), ascent(1), settings)
        let both = try golden.load()
        let (_, steps) = try run(
            both, .pairs(pairs), ascent(1), settings)
        #expect(alone.weights == both.weights)
        #expect(steps.allSatisfy { $0.retainLoss != nil && $0.loss == -($0.forgetLoss ?? 0) })
        let kept = try golden.load()
        let (_, plain) = try run(
            kept, .pairs(pairs), ascent(0), settings)
        #expect(plain.allSatisfy { $0.forgetLoss != nil && $0.loss == $0.retainLoss })
    }

    @Test func `the loss cap stops before the update that would follow it`() throws {
        let golden = try GoldenModel("llama-tied")
        let data = try TrainingData.forgetting(pairs(golden).forget)
        let objective = ascent(1)
        var settings = Trainer.Settings(epochs: 20, learningRate: 1e-2)
        let (_, steps) = try run(golden.load(), data, objective, settings)
        let cap = try #require(steps.map { $0.forgetLoss ?? 0 }.max())
        let first = try #require(steps.firstIndex { $0.forgetLoss ?? 0 >= cap })
        settings.maxForgetLoss = cap
        let model = try golden.load()
        let capped = try run(model, data, objective, settings)
        #expect(
            capped.outcome.cappedAt == cap && capped.outcome.steps == first
                && capped.steps == Array(steps[..<first]))
        settings.maxForgetLoss = 0
        let untouched = try golden.load()
        let nothing = try run(untouched, data, objective, settings).outcome
        #expect(nothing.epochs.isEmpty && nothing.steps == 0 && nothing.cappedAt == steps[0].forgetLoss)
        #expect(try untouched.weights == golden.load().weights)
    }

    @Test func `a divergence from the base begins at zero and holds the model`() throws {
        let golden = try GoldenModel("gpt2")
        let settings = Trainer.Settings(epochs: 3, learningRate: 1e-3)
        let pairs = try pairs(golden)
        let objective = try UnlearningObjective.ascent(
            0.5, heldOn: pairs.retain.examples, golden.configuration)
        let (_, steps) = try run(golden.load(), .pairs(pairs), objective, settings)
        #expect(abs(steps[0].retainLoss ?? 1) < 1e-6)
        #expect(steps.dropFirst().allSatisfy { $0.retainLoss ?? 0 > 0 })
    }

    @Test func `fine-tuning lowers the loss and numbers that leave the finite ones end the run`() throws {
        let golden = try GoldenModel("llama-tied")
        let data = try TrainingData.learning(
            Batcher(examples: golden.examples("retain"), batchSize: 4, seed: 1, stream: .training))
        let (outcome, _) = try run(
            golden.load(), data, FinetuneObjective(), Trainer.Settings(epochs: 8, learningRate: 3e-3))
        let losses = outcome.epochs.compactMap(\.loss)
        #expect(losses.count == 8 && losses[7] < losses[0])
        #expect(outcome.epochs.allSatisfy { $0.forgetLoss == nil })
        #expect(throws: DivergenceError.self) {
            _ = try run(
                golden.load(), data, FinetuneObjective(), Trainer.Settings(epochs: 8, learningRate: 1e38))
        }
    }

    @Test func `the prediction of memory grows with each thing that takes it`() throws {
        // Of a very small model writing would take the most.
        let configuration = try ModelConfiguration(json: Array(#"{"model_type": "gpt2"}"#.utf8))
        func predict(
            _ configuration: ModelConfiguration, rows: Int = 1, length: Int = 8,
            _ change: (inout TrainingMemory) -> Void = { _ in }
        ) throws -> Int {
            var memory = TrainingMemory(configuration, rows: rows, length: length)
            change(&memory)
            return try memory.predict()
        }
        let least = try predict(configuration)
        #expect(try predict(configuration, rows: 2) > least && predict(configuration, length: 16) > least)
        #expect(try predict(configuration) { $0.copies = 1 } > least)
        var measuring = MeasuringMemory(configuration, threads: 2)
        measuring.measure(RowSizes(length: 1000, rows: 8))
        let one = try predict(configuration) { $0.layers = LayerSelection("1") }
        #expect(one < least)
        #expect(
            try predict(configuration) {
                $0.layers = LayerSelection("1")
                $0.measuring = measuring
            } > one)
        let whole = try predict(configuration, rows: 4, length: 256)
        #expect(whole > 5 << 29 && whole < 3 << 30)
        var memory = TrainingMemory(configuration, rows: 4, length: 256)
        let answer = try memory.answer(JobParameters())
        #expect(answer.memory == Int64(whole) && answer.ways.allSatisfy { $0.memory < answer.memory })
        #expect(
            answer.ways.map(\.options).dropLast().sorted() == [
                "--batch-size 1 --accumulate 4", "--checkpoint-activations", "--lora-rank 8",
                "--max-length 128",
            ])
        #expect(answer.ways.last.map { all in answer.ways.allSatisfy { all.memory <= $0.memory } } == true)
        #expect(answer.hint(limit: answer.memory - 1).contains("--checkpoint-activations ("))
        #expect(answer.hint(limit: 1).contains("even with"))
        memory.ranks = 2
        let ranks = try memory.answer(JobParameters())
        var shared = memory
        shared.isSharded = true
        let sharing = ranks.ways.first { $0.options == "--shard-parameters" }
        #expect(try sharing?.memory == Int64(shared.predict()))
        #expect(try shared.answer(JobParameters()).ways.allSatisfy { $0.options != "--shard-parameters" })
        var masked = JobParameters()
        masked.mask = .saliency
        #expect(try memory.answer(masked).ways.allSatisfy { !$0.options.contains("--shard-parameters") })
        memory.ranks = 1
        memory.checkpointing = true
        #expect(try memory.predict() < whole / 10 * 9)
        memory.freeze = ["nothing"]
        #expect(throws: EngineError.self) { _ = try memory.predict() }
    }
}
