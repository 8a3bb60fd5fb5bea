// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Protocol
import Testing

/// Training and measuring on a card: whole passes of the golden models against the processor's own in f32.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct CardTests {
    /// What a card can compute of the golden models.
    private static let names = ["gpt2", "llama-tied", "llama-scaled", "neox-sequential", "gemma"]

    private static func isSupported(_ name: String) -> Bool {
        guard let golden = try? GoldenModel(name) else { return false }
        return (try? CUDASupport.require(golden.configuration)) != nil
    }

    private func load(_ name: String, _ card: CUDACard?, checkpointing: Bool = false) throws -> Transformer {
        let golden = try GoldenModel(name)
        let context = try ComputeContext(threads: 2, card: card)
        let model = try Transformer(golden.configuration, context: context, checkpointing: checkpointing)
        let source = try golden.load()
        model.parameters.base.update(from: source.parameters.base, count: model.table.count)
        return model
    }

    private func examples(_ name: String) throws -> (forget: [Example], retain: [Example]) {
        let golden = try GoldenModel(name)
        return (try golden.examples("forget"), try golden.examples("retain"))
    }

    /// Trains as `ascent` does; epsilon is large, so that small gradients move weights little and rounding stays rounding.
    private func train(
        _ model: Transformer, _ name: String, clip: Double? = nil, objective: (any Objective)? = nil,
        from state: TrainerState = TrainerState(), keep: (Trainer, TrainerState) throws -> Void = { _, _ in },
        restore: (Trainer) throws -> Void = { _ in }
    ) throws -> (losses: [StepLosses], norms: [Double?]) {
        let (forget, retain) = try examples(name)
        let pairs = try PairedBatches(
            forget: Batcher(examples: forget, batchSize: 2, seed: 9, stream: .forget),
            retain: Batcher(examples: retain, batchSize: 3, seed: 9, stream: .retain), pairing: .min)
        var settings = Trainer.Settings(epochs: 2, learningRate: 1e-3, clipNorm: clip)
        settings.rates.epsilon = 1e-2
        let trainer = try Trainer(
            model, data: .pairs(pairs),
            objective: objective
                ?? UnlearningObjective(
                    forget: LikelihoodTerm(rising: true), retain: LikelihoodTerm(), weights: .mix(0.3)),
            settings: settings)
        try restore(trainer)
        var losses: [StepLosses] = []
        var norms: [Double?] = []
        _ = try trainer.run(from: state) {
            losses.append($0.losses)
            norms.append($0.gradientNorm)
        } epoch: { _ in
        } state: {
            try keep(trainer, $0)
        }
        return (losses, norms)
    }

    /// ‖a − b‖ / ‖b − start‖ over all weights.
    private func difference(_ a: Transformer, _ b: Transformer, from start: Transformer) -> Double {
        var (difference, size) = (0.0, 0.0)
        for index in 0..<b.table.count {
            let (x, y, z) = (
                Double(a.parameters.base[index]), Double(b.parameters.base[index]),
                Double(start.parameters.base[index])
            )
            difference += (x - y) * (x - y)
            size += (y - z) * (y - z)
        }
        return (difference / size).squareRoot()
    }

    @Test(.enabled(if: TestCard.isThere), arguments: names.filter(isSupported))
    func `scores on the card are the processor's`(name: String) throws {
        let card = try TestCard.open()
        // Of several parts of logits, and of one.
        for budget in [64 * 5, 1 << 28] {
            card.logitBudget = budget
            let (model, own) = (try load(name, card), try load(name, nil))
            let batch = TokenBatch(padding: try examples(name).forget)
            let scores = try model.onCard { try model.score(batch, moments: true) }
            let expected = try own.score(batch, moments: true)
            #expect(scores.map(\.count) == expected.map(\.count))
            for (score, other) in zip(scores.joined(), expected.joined()) {
                #expect(abs(score.nll - other.nll) < 0.02 * max(1, other.nll))
                let (moments, others) = (try #require(score.moments), try #require(other.moments))
                #expect(abs(moments.mean - others.mean) < 0.02 * max(1, abs(others.mean)))
                #expect(abs(moments.variance - others.variance) < 0.05 * max(0.1, others.variance))
            }
        }
    }

    @Test(.enabled(if: TestCard.isThere), arguments: names.filter(isSupported))
    func `training on the card moves weights as on the processor`(name: String) throws {
        let card = try TestCard.open()
        let (start, own, model) = (try load(name, nil), try load(name, nil), try load(name, card))
        let expected = try train(own, name, clip: 0.5)
        let made = try train(model, name, clip: 0.5)
        for (losses, other) in zip(made.losses, expected.losses) {
            #expect(abs(losses.loss - other.loss) < 0.02)
        }
        for (norm, other) in zip(made.norms, expected.norms) {
            let (norm, other) = (try #require(norm), try #require(other))
            #expect(abs(norm - other) < 0.02 * other)
        }
        let distance = difference(model, own, from: start)
        print("\(name): weights on the card are \(distance) of the change away from the processor's")
        #expect(distance < 0.03 && made.losses.count == expected.losses.count)

        // The same again gives the same bits, also where activations are computed again, and logits part by part.
        let again = try load(name, card, checkpointing: true)
        _ = try train(again, name, clip: 0.5)
        #expect(
            again.parameters.values(0..<again.table.count) == model.parameters.values(0..<model.table.count))
    }

    @Test(.enabled(if: TestCard.isThere))
    func `weighted losses on the card are the processor's`() throws {
        let card = try TestCard.open()
        card.logitBudget = 5 * 128
        let name = "gpt2"
        for make: () throws -> any LossTerm in [
            { NegativePreferenceTerm(beta: 0.5, examples: try self.examples(name).forget) },
            { WeightedLikelihoodTerm(known: 1) }, { SimplePreferenceTerm(beta: 1) },
        ] {
            func objective() throws -> UnlearningObjective {
                UnlearningObjective(
                    forget: try make(), retain: LikelihoodTerm(),
                    weights: .coefficients(gamma: 1, alpha: 0.5))
            }
            let (start, own, model) = (try load(name, nil), try load(name, nil), try load(name, card))
            _ = try train(own, name, objective: try objective())
            _ = try train(model, name, objective: try objective())
            #expect(difference(model, own, from: start) < 0.03)
        }
    }

    @Test(.enabled(if: TestCard.isThere))
    func `what is frozen keeps its bits on the card`() throws {
        let (start, model) = (try load("gpt2", nil), try load("gpt2", try TestCard.open()))
        model.trainable = try Trainable(model.table, layers: LayerSelection("1"))
        _ = try train(model, "gpt2")
        for entry in model.table.entries {
            let isSame = model.parameters.values(entry.range) == start.parameters.values(entry.range)
            #expect(isSame != model.trainable.contains(entry.offset), "\(entry.name)")
        }
    }

    @Test(.enabled(if: TestCard.isThere))
    func `a run on the card goes on from its checkpoint with the same bits`() throws {
        let card = try TestCard.open()
        let path = FileManager.default.temporaryDirectory.appending(path: "card-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        struct Enough: Error {}
        let (whole, broken) = (try load("llama-tied", card), try load("llama-tied", card))
        _ = try train(whole, "llama-tied")
        #expect(throws: Enough.self) {
            _ = try train(broken, "llama-tied") { trainer, state in
                guard state.steps == 2 else { return }
                #expect(try trainer.write(state, identity: "test", to: path) != nil)
                throw Enough()
            }
        }
        let file = try #require(try TrainingStateFile(path: path, identity: "test"))
        let resumed = try load("llama-tied", card)
        _ = try train(
            resumed, "llama-tied", from: file.state, restore: { try file.read(into: $0.buffers) })
        #expect(
            resumed.parameters.values(0..<whole.table.count) == whole.parameters.values(0..<whole.table.count)
        )
    }

    @Test(.enabled(if: TestCard.canBePlayed))
    func `a card without room says so, and predictions cover what is used`() throws {
        let golden = try GoldenModel("gpt2")
        let (forget, retain) = try examples("gpt2")
        var memory = TrainingMemory(
            golden.configuration, rows: 3, length: (forget + retain).map(\.ids.count).max() ?? 1)
        memory.onCard = true
        let predicted = try memory.predictCard()
        // What is predicted suffices: less the reserve for what the driver takes by itself, which takes nothing here.
        let own = predicted - (256 << 20)
        let model = try load("gpt2", try TestCard.open(memory: own))
        _ = try train(model, "gpt2")
        let small = try load("gpt2", try TestCard.open(memory: (32 << 20) + 8192))
        #expect {
            _ = try train(small, "gpt2")
        } throws: { error in
            guard let error = error as? EngineError else { return false }
            return error.code == .resources && error.message.contains("has no memory left")
                && error.hint.contains("--batch-size")
        }
    }

    @Test func `what a card cannot compute is refused by name`() throws {
        for (name, word) in [("gemma2", "capped"), ("olmo2", "norms"), ("mistral", "windows")] {
            let golden = try GoldenModel(name)
            #expect {
                try CUDASupport.require(golden.configuration)
            } throws: { error in
                guard let error = error as? EngineError else { return false }
                return error.code == .unsupportedModel && error.message.contains(word)
                    && error.hint.contains("--device cpu")
            }
        }
    }

    @Test func `missing libraries are named, with what helps`() throws {
        guard !FileManager.default.fileExists(atPath: "/proc/driver/nvidia") else {
            print("skipped: this machine has NVIDIA's driver")
            return
        }
        #expect {
            _ = try CUDACard(folders: "/nowhere")
        } throws: { error in
            guard let error = error as? EngineError else { return false }
            return error.code == .unsupportedMachine && error.message.contains("libcuda.so.1")
                && error.hint.contains("UNLEARND_CUDA_PATH") && error.hint.contains("--device cpu")
        }
    }

    @Test(arguments: zip([80, 90, 90], [12, 64, 128]))
    func `CUDA's compiler compiles the kernels`(architecture: Int, headSize: Int) throws {
        guard let folders = ProcessInfo.processInfo.environment["UNLEARND_CUDA_PATH"] else {
            print(
                "skipped: UNLEARND_CUDA_PATH does not name folders of libnvrtc.so.12 and libcublasLt.so.12 (nvidia-cuda-nvrtc-cu12 and nvidia-cublas-cu12 from PyPI have them)"
            )
            return
        }
        let image = try CUDAProgram.compile(
            folders: folders, architecture: architecture, headSize: headSize)
        // An ELF file.
        #expect(image.prefix(4) == [0x7f, 0x45, 0x4c, 0x46] && image.count > 10_000)
        #expect(try CUDAProducts.version(folders: folders) >= 12_0000)
    }
}
