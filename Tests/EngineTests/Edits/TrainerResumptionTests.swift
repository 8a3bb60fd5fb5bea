// SPDX-License-Identifier: Apache-2.0

import CKernels
import Engine
import Foundation
import Protocol
import Testing

/// A run that is stopped after any step, kept in a file and continued by another trainer gives the same bits.
@Suite struct `Training that goes on` {
    private struct Stop: Error {}

    private let golden: GoldenModel
    private let folder: URL

    init() throws {
        golden = try GoldenModel("llama-tied")
        folder = FileManager.default.temporaryDirectory.appending(path: "unlearn-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    private var path: String { folder.appending(path: "run.checkpoint").path }
    private let identity: JSONValue = ["software": "1", "environment": ["kernels": "avx2"], "spec": ["a": 1]]

    private func batcher(_ group: String, _ stream: DataStream, _ size: Int) throws -> Batcher {
        let examples = try (0..<2).flatMap { index in
            let batch = try golden.batch(group, index)
            return batch.lengths.enumerated().map { row, length in
                let start = row * batch.columns
                return Example(
                    ids: Array(batch.tokens[start..<start + length]),
                    labels: Array(batch.labels[start..<start + length]), line: index * 100 + row)
            }
        }
        return Batcher(examples: examples, batchSize: size, seed: 5, stream: stream)
    }

    /// With a schedule, clipping, a second copy of the weights, and tensors that are not trained.
    private func trainer(_ model: Transformer, cap: Double? = nil) throws -> Trainer {
        if !model.hasAdapters {
            model.trainable = try Trainable(
                model.table, layers: nil, train: [], freeze: ["model.embed_tokens.weight"])
        }
        let pairs = try PairedBatches(
            forget: batcher("forget", .forget, 1), retain: batcher("retain", .retain, 2), pairing: .cycle)
        return try Trainer(
            model, data: .pairs(pairs),
            objective: UnlearningObjective.ascent(0.4, heldOn: pairs.retain.examples, golden.configuration),
            settings: Trainer.Settings(
                epochs: 3, learningRate: 1e-3, schedule: LearningRateSchedule(.cosine, warmup: 2),
                clipNorm: 1, maxForgetLoss: cap))
    }

    /// Without what a clock says.
    private func figures(_ outcome: Trainer.Outcome) -> [TrainingEpoch] {
        outcome.epochs.map { epoch in
            var epoch = epoch
            epoch.seconds = 0
            return epoch
        }
    }

    @Test func `stopped after each step in turn, the result has the same bits`() throws {
        let whole = try golden.load(threads: 2)
        let expected = try trainer(whole).run { _ in
        } epoch: { _ in
        }
        #expect(expected.epochs.count == 3 && expected.steps > 6)
        for stop in 1...expected.steps {
            let first = try trainer(golden.load(threads: 1 + stop % 2))
            #expect(throws: Stop.self) {
                try first.run { _ in
                } epoch: { _ in
                } state: { state in
                    guard state.steps == stop else { return }
                    _ = try TrainingStateFile.write(
                        state, identity: identity, buffers: first.buffers, to: path)
                    throw Stop()
                }
            }
            let file = try #require(try TrainingStateFile(path: path, identity: identity))
            #expect(file.state.steps == stop)
            let model = try golden.load(threads: 2 - stop % 2)
            let second = try trainer(model)
            try file.read(into: second.buffers)
            var steps: [Int] = []
            let outcome = try second.run(from: file.state) {
                steps.append($0.number)
            } epoch: { _ in
            }
            #expect(steps == Array(stop + 1..<expected.steps + 1))
            #expect(model.weights == whole.weights, "stopped after step \(stop)")
            #expect(figures(outcome) == figures(expected))
            #expect(!FileManager.default.fileExists(atPath: path + ".new"))
        }
    }

    /// The ways of bfloat16 products that there are on this machine.
    private var brains: [BrainProducts] {
        let own: [BrainProducts] = ck_pair_kernels_here() == nil ? [.rounded] : [.rounded, .paired]
        do { return own + [.native(try OneDNN())] } catch {
            print("skipped: bfloat16 products by oneDNN: \(error)")
            return own
        }
    }

    @Test func `adapters on bfloat16 products: one, two and three threads, again, and resumed`() throws {
        for brain in brains {
            func model(_ threads: Int) throws -> Transformer {
                let model = try golden.load(
                    threads: threads, adapters: AdapterSettings(rank: 4, alpha: 8, targets: ["all-linear"]),
                    brain: brain)
                model.initializeAdapters(seed: 7)
                return model
            }
            let start = try model(1).weights
            var results: [[UInt32]] = []
            var steps = 0
            for threads in [1, 2, 3, 1, 2] {
                let model = try model(threads)
                let outcome = try trainer(model).run { _ in
                } epoch: { _ in
                }
                steps = outcome.steps
                results.append(model.weights.map(\.bitPattern))
            }
            #expect(results[0] != start.map(\.bitPattern), "\(brain)")
            #expect(results.allSatisfy { $0 == results[0] }, "\(brain)")
            for stop in [1, steps / 2, steps - 1] {
                let first = try trainer(model(1 + stop % 2))
                #expect(throws: Stop.self) {
                    try first.run { _ in
                    } epoch: { _ in
                    } state: { state in
                        guard state.steps == stop else { return }
                        _ = try TrainingStateFile.write(
                            state, identity: identity, buffers: first.buffers, to: path)
                        throw Stop()
                    }
                }
                let file = try #require(try TrainingStateFile(path: path, identity: identity))
                let model = try model(2 - stop % 2)
                let second = try trainer(model)
                try file.read(into: second.buffers)
                _ = try second.run(from: file.state) { _ in
                } epoch: { _ in
                }
                #expect(
                    model.weights.map(\.bitPattern) == results[0],
                    "\(brain), stopped after step \(stop)")
            }
        }
    }

    @Test func `a run that its cap has ended stays ended`() throws {
        let model = try golden.load()
        let outcome = try trainer(model, cap: 0.001).run { _ in
        } epoch: { _ in
        }
        #expect(outcome.cappedAt != nil && outcome.steps == 0)
        let again = try trainer(model, cap: 0.001).run(from: outcome.state) { _ in
            Issue.record()
        } epoch: {
            _ in
        }
        #expect(again == outcome)
    }

    @Test func `a file of another run, or a damaged one, is refused with its reason`() throws {
        #expect(try TrainingStateFile(path: path, identity: identity) == nil)
        let trainer = try trainer(golden.load())
        let size = try TrainingStateFile.write(
            TrainerState(), identity: identity, buffers: trainer.buffers, to: path)
        let bytes = try Data(contentsOf: URL(filePath: path))
        #expect(bytes.count == size)
        func reason(_ identity: JSONValue) -> String? {
            do {
                _ = try TrainingStateFile(path: path, identity: identity)
                return nil
            } catch {
                return error.reason
            }
        }
        #expect(reason(identity) == nil)
        for (key, word) in [("software", "version"), ("environment", "kernels"), ("spec", "specification")] {
            var other = try #require(identity.objectValue)
            other[key] = "else"
            #expect(reason(.object(other))?.contains(word) == true)
        }
        for place in [0, 9, 20, size / 2, size - 1] {
            var damaged = bytes
            damaged[place] ^= 1
            try damaged.write(to: URL(filePath: path))
            #expect(reason(identity) != nil, "byte \(place)")
        }
        try bytes.dropLast(1).write(to: URL(filePath: path))
        #expect(reason(identity)?.contains("damaged") == true)
        try bytes.write(to: URL(filePath: path))
        let file = try #require(try TrainingStateFile(path: path, identity: identity))
        let few = Array(trainer.buffers.dropLast())
        #expect(throws: TrainingStateFile.Unusable.self) { try file.read(into: few) }
    }
}
