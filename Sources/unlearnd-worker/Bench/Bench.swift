// SPDX-License-Identifier: Apache-2.0

import Engine
import Glibc
import Protocol

/// Measures parts of the engine alone, for comparison with other programs: prints JSON lines.
struct Bench {
    private let arguments: BenchArguments
    private let context: ComputeContext
    private let model: Transformer

    /// Runs the measurement that `words` ask for; returns the exit status.
    static func run(_ words: [String]) -> Int32 {
        switch words.first {
        case "tokenize": return TokenizerBench.run(Array(words.dropFirst()))
        case "codec": return CodecBench.run(Array(words.dropFirst()))
        case "fill": return StoreFiller.run(Array(words.dropFirst()))
        default: break
        }
        guard let arguments = BenchArguments(words) else {
            complain(BenchArguments.usage)
            return ExitCode.usage.rawValue
        }
        do {
            let bench = try Bench(arguments)
            switch arguments.subject {
            case .ascentStep: try bench.ascentStep()
            case .evaluate: try bench.evaluate()
            case .evaluateAnswers: try bench.evaluateAnswers()
            case .generate: try bench.generate()
            }
            return 0
        } catch let missing as OneDNN.Missing {
            emit(["unavailable": .string("\(missing)")])
            return 0
        } catch {
            complain("\(error)")
            return ExitCode.internalError.rawValue
        }
    }

    private init(_ arguments: BenchArguments) throws {
        self.arguments = arguments
        context = try ComputeContext(
            threads: arguments.threads,
            brain: arguments.precision == .bf16 && arguments.device == .cpu ? .fastest() : nil,
            card: arguments.device == .cuda ? CUDACard() : nil)
        let configuration = try ModelConfiguration(json: Array(arguments.shape.configuration.utf8))
        model = try Transformer(
            configuration, context: context, checkpointing: arguments.checkpointing)
        ParameterInitializer.fill(model.parameters, model.table, seed: 1, context: context)
        Self.emit([
            "kernels": .string(context.environment.summary), "peak_gflops": .number(context.peakRate() / 1e9),
        ])
    }

    /// One object a step: seconds, loss and profile.
    private func ascentStep() throws {
        // As many rows as steps need, so that an epoch is one pass and every step has full batches.
        let pairs = try PairedBatches(
            forget: batcher(arguments.forget, .forget), retain: batcher(arguments.retain, .retain),
            pairing: nil)
        let objective = UnlearningObjective(
            forget: LikelihoodTerm(rising: true), retain: LikelihoodTerm(), weights: .mix(0.5))
        let trainer = try Trainer(
            model, data: .pairs(pairs), objective: objective, settings: Trainer.Settings(epochs: 1))
        context.profile.start()
        _ = try trainer.run { step in
            let figures = context.profile.stop()
            Self.emit([
                "step": .integer(Int64(step.number)), "seconds": .number(figures.total),
                "loss": .number(step.loss), "profile": figures.json,
            ])
            context.profile.start()
        } epoch: { _ in
        }
    }

    /// One object an evaluation of the retain batch.
    private func evaluate() throws {
        let batch = batcher(arguments.retain, .retain)
        try model.onCard {
            for step in 0..<arguments.steps {
                let rows = batch.batch(
                    Array(step * arguments.retain.rows..<(step + 1) * arguments.retain.rows))
                context.profile.start()
                _ = try model.score(rows)
                let figures = context.profile.stop()
                Self.emit(["seconds": .number(figures.total), "profile": figures.json])
            }
        }
    }

    /// One object an evaluation of questions and answers of several lengths, as many as the retain size has rows: the
    /// answers count, and the work is that of a job's evaluation.
    private func evaluateAnswers() throws {
        let rows = batcher(
            BenchArguments.Size(rows: arguments.retain.rows, columns: 132), .retain
        ).examples.prefix(arguments.retain.rows).enumerated().map { row, example in
            let prompt = 12 + 7 * row % 25
            let length = prompt + 16 + 37 * row % 81
            let silent = [Int32](repeating: DatasetParser.unlabelled, count: prompt)
            return Example(
                ids: Array(example.ids[..<length]), labels: silent + example.ids[prompt..<length],
                line: row + 1)
        }
        for _ in 0..<arguments.steps {
            context.profile.start()
            _ = try model.rowScores(rows)
            let figures = context.profile.stop()
            Self.emit(["seconds": .number(figures.total), "profile": figures.json])
        }
    }

    /// One object for `--tokens` tokens after each of the retain batch's prompts of 32 tokens.
    private func generate() throws {
        let size = BenchArguments.Size(rows: arguments.retain.rows, columns: 32)
        let prompts = batcher(size, .retain).examples.map(\.ids)
        for step in 0..<arguments.steps {
            let requests = prompts[step * size.rows..<(step + 1) * size.rows].map {
                Generator.Request(prompt: $0)
            }
            context.profile.start()
            let made = try Generator(model, ends: []).continuations(of: requests, maximum: arguments.tokens)
            let figures = context.profile.stop()
            let tokens = made.reduce(0) { $0 + $1.tokens.count }
            Self.emit([
                "seconds": .number(figures.total), "tokens": .integer(Int64(tokens)), "profile": figures.json,
            ])
        }
    }

    private func batcher(_ size: BenchArguments.Size, _ stream: DataStream) -> Batcher {
        var random = RandomSource(seed: 2, stream: stream.rawValue)
        let vocabulary = UInt64(model.configuration.vocabularySize)
        let examples = (0..<size.rows * arguments.steps).map { row in
            let ids = (0..<size.columns).map { _ in Int32(truncatingIfNeeded: random.below(vocabulary)) }
            return Example(ids: ids, labels: ids, line: row + 1)
        }
        return Batcher(examples: examples, batchSize: size.rows, seed: 3, stream: stream)
    }

    private static func emit(_ value: JSONValue) {
        let line = value.serialized() + [0x0A]
        _ = line.withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
    }
}
