// SPDX-License-Identifier: Apache-2.0

import Engine
import Glibc
import Protocol

/// Measures parts of the engine alone, for comparison with other programs: `bench ascent-step …`.
enum Bench {
    private struct Arguments {
        var shape = "gpt2-124m"
        var forget = (rows: 4, columns: 256)
        var retain = (rows: 4, columns: 256)
        var threads = 2
        var steps = 5
    }

    /// Runs the measurement and prints JSON lines; returns the exit status.
    static func run(_ words: [String]) -> Int32 {
        if words.first == "tokenize" { return TokenizerBench.run(Array(words.dropFirst())) }
        guard words.first == "ascent-step", let arguments = parse(Array(words.dropFirst())) else {
            complain(
                "usage: unlearnd-worker bench ascent-step [--shape gpt2-124m] [--forget 4x256] [--retain 4x256] [--threads 2] [--steps 5]"
            )
            return ExitCode.usage.rawValue
        }
        do {
            try ascentStep(arguments)
            return 0
        } catch {
            complain("\(error)")
            return ExitCode.internalError.rawValue
        }
    }

    private static func ascentStep(_ arguments: Arguments) throws {
        let config = #"{"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2"}"#
        let context = try ComputeContext(threads: arguments.threads)
        let environment = context.environment
        let version = environment.blasBuild.split(separator: " ").dropFirst().first ?? ""
        emit(["kernels": .string("OpenBLAS \(environment.blasCore) (\(version)), \(environment.kernelLevel)")]
        )
        let model = try Transformer(try ModelConfiguration(json: Array(config.utf8)), context: context)
        ParameterInitializer.fill(model.parameters, model.table, seed: 1, context: context)
        // As many rows as steps need, so that an epoch is one pass and every step has full batches.
        let pairs = try PairedBatches(
            forget: batcher(arguments.forget, arguments.steps, model, .forget),
            retain: batcher(arguments.retain, arguments.steps, model, .retain), pairing: nil)
        let trainer = try Trainer(
            model, data: .pairs(pairs), objective: AscentObjective(), settings: Trainer.Settings(epochs: 1))
        var began = ContinuousClock.now
        _ = try trainer.run { step in
            let now = ContinuousClock.now
            emit([
                "step": .integer(Int64(step.number)), "seconds": .number((now - began) / .seconds(1)),
                "loss": .number(step.loss),
            ])
            began = now
        } epoch: { _ in
        }
    }

    private static func batcher(
        _ size: (rows: Int, columns: Int), _ steps: Int, _ model: Transformer, _ stream: DataStream
    ) -> Batcher {
        var random = RandomSource(seed: 2, stream: stream.rawValue)
        let vocabulary = UInt64(model.configuration.vocabularySize)
        let examples = (0..<size.rows * steps).map { row in
            let ids = (0..<size.columns).map { _ in Int32(truncatingIfNeeded: random.below(vocabulary)) }
            return Example(ids: ids, labels: ids, line: row + 1)
        }
        return Batcher(examples: examples, batchSize: size.rows, seed: 3, stream: stream)
    }

    private static func emit(_ value: JSONValue) {
        let line = value.serialized() + [0x0A]
        _ = line.withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
    }

    private static func parse(_ words: [String]) -> Arguments? {
        var arguments = Arguments()
        guard words.count.isMultiple(of: 2) else { return nil }
        for index in stride(from: 0, to: words.count, by: 2) {
            let value = words[index + 1]
            let numbers = value.split(separator: "x").compactMap { Int($0) }
            let first = numbers.first ?? 0
            switch words[index] {
            case "--shape" where value == "gpt2-124m": arguments.shape = value
            case "--threads" where first > 0: arguments.threads = first
            case "--steps" where first > 0: arguments.steps = first
            case "--forget" where numbers.count == 2 && first > 0 && (2...1024).contains(numbers[1]):
                arguments.forget = (first, numbers[1])
            case "--retain" where numbers.count == 2 && first > 0 && (2...1024).contains(numbers[1]):
                arguments.retain = (first, numbers[1])
            default: return nil
            }
        }
        return arguments
    }
}
