// SPDX-License-Identifier: Apache-2.0

import CKernels
import Engine
import Foundation
import Protocol
import Testing

/// Accumulation, clipping, schedules, AdamW's options and freezing, against PyTorch and transformers.
struct TrainingOptionTests {
    private let golden: GoldenModel

    init() throws { golden = try GoldenModel(GoldenModel.fixtures().appending(path: "training").path) }

    private func data(accumulate: Int = 1) throws -> TrainingData {
        .learning(
            Batcher(
                examples: try golden.examples("retain"), batchSize: 3, accumulate: accumulate, seed: 0,
                stream: .training, shuffle: false))
    }

    private func run(_ model: Transformer, _ data: TrainingData, _ settings: Trainer.Settings) throws
        -> [Trainer.Step]
    {
        var steps: [Trainer.Step] = []
        _ = try Trainer(model, data: data, objective: FinetuneObjective(), settings: settings).run {
            steps.append($0)
        } epoch: { _ in
        }
        return steps
    }

    private func expect(_ steps: [Trainer.Step], are name: String) throws {
        let wanted = try #require(golden.facts[name]?.arrayValue)
        #expect(steps.count == wanted.count)
        for (step, wanted) in zip(steps, wanted) {
            let loss = try #require(wanted["loss"]?.doubleValue)
            let norm = try #require(wanted["norm"]?.doubleValue)
            #expect(abs(step.loss - loss) <= 1e-4 * loss)
            #expect(abs((step.gradientNorm ?? 0) - norm) <= 1e-3 * norm)
            #expect(abs(step.learningRate - (wanted["rate"]?.doubleValue ?? 1)) <= 1e-15)
        }
    }

    @Test func `accumulated, clipped and scheduled steps move every tensor as PyTorch moves it`() throws {
        let model = try golden.load()
        var settings = Trainer.Settings(
            epochs: 3, learningRate: 1e-3, schedule: LearningRateSchedule(.cosine, warmup: 2), clipNorm: 10)
        settings.rates.beta1 = 0.8
        settings.rates.beta2 = 0.95
        settings.rates.epsilon = 1e-6
        settings.rates.weightDecay = 0.1
        let steps = try run(model, data(accumulate: 2), settings)
        try expect(steps, are: "options")
        #expect(steps.contains { $0.gradientNorm ?? 0 > 10 } && steps.contains { $0.gradientNorm ?? 99 < 10 })
        try golden.expect(
            model.parameters, equals: "options", of: model, tolerance: 1e-2, relativeTo: "weights")
    }

    @Test func `what is frozen keeps its bits, and the rest moves as PyTorch moves it`() throws {
        let model = try golden.load()
        model.trainable = try Trainable(
            model.table, layers: LayerSelection("1"), freeze: ["*norm.weight"])
        let steps = try run(
            model, data(),
            Trainer.Settings(
                epochs: 3, learningRate: 1e-3, schedule: LearningRateSchedule(.linear, warmup: 0.2),
                clipNorm: 1))
        try expect(steps, are: "frozen")
        for entry in model.table.entries {
            let isTrained = entry.name.contains(".layers.1.") && !entry.name.contains("norm")
            #expect(model.trainable.contains(entry.offset) == isTrained)
            let before = try golden.values("weights", entry.name)
            #expect((model.parameters.values(entry.range) == before) != isTrained, "\(entry.name)")
        }
        try golden.expect(
            model.parameters, equals: "frozen", of: model, tolerance: 1e-2, relativeTo: "weights")
    }

    @Test func `a step of parts is the step of the whole batch`() throws {
        func first(batchSize: Int, accumulate: Int) throws -> (Trainer.Step, [Float]) {
            let pairs = try PairedBatches(
                forget: Batcher(
                    examples: golden.examples("forget"), batchSize: batchSize, accumulate: accumulate,
                    seed: 1,
                    stream: .forget),
                retain: Batcher(
                    examples: golden.examples("retain"), batchSize: batchSize, accumulate: accumulate,
                    seed: 1,
                    stream: .retain), pairing: .min)
            let model = try golden.load()
            var steps: [Trainer.Step] = []
            // Plain gradient descent, so that the change is the gradient.
            var settings = Trainer.Settings(epochs: 1, learningRate: 1e-3)
            settings.rates = AdamW.Rates(
                learningRate: 1e-3, beta1: 0, beta2: 0.999, epsilon: 1e3, weightDecay: 0)
            _ = try Trainer(
                model, data: .pairs(pairs),
                objective: UnlearningObjective.ascent(
                    0.3, heldOn: pairs.retain.examples, golden.configuration),
                settings: settings
            ).run {
                steps.append($0)
            } epoch: { _ in
            }
            return (try #require(steps.first), model.weights)
        }
        let (whole, expected) = try first(batchSize: 4, accumulate: 1)
        let (parts, actual) = try first(batchSize: 2, accumulate: 2)
        let (single, _) = try first(batchSize: 1, accumulate: 4)
        for step in [parts, single] {
            #expect(abs(step.loss - whole.loss) < 1e-6 && step.position == whole.position)
            #expect(
                abs(try #require(step.forgetLoss) - (try #require(whole.forgetLoss))) < 1e-5)
        }
        let start = try golden.load().weights
        let change = zip(expected, start).map { Double($0 - $1) }
        let difference = zip(actual, expected).map { Double($0 - $1) }
        func norm(_ values: [Double]) -> Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }
        #expect(norm(change) > 0 && norm(difference) < 1e-2 * norm(change))
    }

    @Test
    func `every option together gives the same bits again, for any threads, with and without checkpointing`()
        throws
    {
        var results: [[UInt32]] = []
        for (threads, checkpointing) in [(1, false), (2, false), (2, false), (2, true), (3, true)] {
            let model = try golden.load(
                threads: threads, checkpointing: checkpointing,
                adapters: AdapterSettings(rank: 3, alpha: 6, targets: ["all-linear"]))
            model.initializeAdapters(seed: 8)
            let pairs = try PairedBatches(
                forget: Batcher(
                    examples: golden.examples("forget"), batchSize: 2, accumulate: 2, seed: 1,
                    stream: .forget),
                retain: Batcher(
                    examples: golden.examples("retain"), batchSize: 2, accumulate: 2, seed: 1,
                    stream: .retain), pairing: .cycle)
            let settings = Trainer.Settings(
                epochs: 2, learningRate: 1e-2, schedule: LearningRateSchedule(.linear, warmup: 1),
                clipNorm: 0.1)
            let objective = try UnlearningObjective.ascent(
                0.3, heldOn: pairs.retain.examples, golden.configuration)
            _ = try Trainer(model, data: .pairs(pairs), objective: objective, settings: settings).run { _ in
            } epoch: { _ in
            }
            try model.mergeAdapters()
            results.append(model.weights.map(\.bitPattern))
        }
        #expect(results.allSatisfy { $0 == results[0] })
        let start = try golden.load().weights.map(\.bitPattern)
        #expect(Array(results[0].prefix(start.count)) != start)
    }

    @Test func `names and layers that the model lacks are refused by name`() throws {
        let table = try golden.load().table
        func refusal(_ body: () throws -> Trainable) -> String {
            (#expect(throws: EngineError.self) { _ = try body() })?.message ?? ""
        }
        #expect(refusal { try Trainable(table, layers: LayerSelection("0-2")) }.contains("layer 2"))
        #expect(refusal { try Trainable(table, train: ["*.c_attn.*"]) }.contains("*.c_attn.*"))
        #expect(refusal { try Trainable(table, freeze: ["*"]) }.contains("nothing is left"))
        let head = try Trainable(table, train: ["lm_head.weight"])
        #expect(head == (try Trainable(table, train: ["embed_tokens.weight"])) && head.ranges.count == 1)
        #expect(try Trainable(table, freeze: ["model.norm.*"]).count < Trainable(all: table).count)
        #expect(LayerSelection("3") != nil && LayerSelection("0,2,8-11")?.text == "0,2,8-11")
        for text in ["", "4-", "-4", "5-4", "a", "1,,2", "1-2-3", "99999999999999999999"] {
            #expect(LayerSelection(text) == nil, "\(text)")
        }
    }

    /// The formula of transformers' get_cosine_schedule_with_warmup and its kin, at steps that its tests use.
    @Test func `schedules are transformers'`() {
        func factors(_ schedule: LearningRateSchedule) -> [Double] {
            (1...10).map { (schedule.factor(step: $0, of: 10) * 1e5).rounded() / 1e4 }
        }
        #expect(factors(.init()) == [Double](repeating: 10, count: 10))
        #expect(factors(.init(.constant, warmup: 4)) == [0, 2.5, 5, 7.5, 10, 10, 10, 10, 10, 10])
        #expect(factors(.init(.linear, warmup: 2)) == [0, 5, 10, 8.75, 7.5, 6.25, 5, 3.75, 2.5, 1.25])
        #expect(factors(.init(.linear, warmup: 0.11)) == factors(.init(.linear, warmup: 2)))
        #expect(
            factors(.init(.cosine, warmup: 2)) == [
                0, 5, 10, 9.6194, 8.5355, 6.9134, 5, 3.0866, 1.4645, 0.3806,
            ])
    }

    @Test func `a norm is a function of the values alone`() throws {
        var random = RandomSource(seed: 5)
        let values = try FloatStorage(count: 300_001)
        for index in 0..<values.count { values.base[index] = Float(random.normal()) }
        let ranges = [3..<200_000, 250_000..<300_001]
        let exact = ranges.joined().reduce(0.0) { $0 + Double(values.base[$1]) * Double(values.base[$1]) }
            .squareRoot()
        var results: Set<Double> = []
        for (threads, level) in [(1, CK_LEVEL_AVX2), (2, CK_LEVEL_AVX2), (3, CK_LEVEL_AVX2)] {
            let context = try ComputeContext(threads: threads, level: Int32(level))
            let norm = context.norm(values, ranges)
            #expect(abs(norm - exact) <= 1e-12 * exact)
            results.insert(norm)
        }
        #expect(results.count == 1)
        let context = try ComputeContext(threads: 2)
        #expect(try context.clip(values, ranges, to: 10) == results.first)
        #expect(abs(context.norm(values, ranges) - 10) < 1e-5)
        #expect(
            try context.clip(values, ranges, to: 11) < 10.1 && abs(context.norm(values, ranges) - 10) < 1e-5)
    }
}
