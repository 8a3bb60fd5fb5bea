// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Engine
import Protocol

/// Trains the model that unlearning is measured against: on the rows to keep alone, from a version that has not seen the
/// others or from fresh weights.
struct RetrainJob {
    private let context: JobContext

    init(_ context: JobContext) { self.context = context }

    func run() throws -> WorkerResult {
        let job = try TrainingJob(context)
        guard let rows = job.sets.retain else {
            throw JobFailure(.badInput, "retrain has no rows to learn", hint: "give them with --retain")
        }
        let seed = context.spec.seed ?? 0
        var result = try job.run(.learning(job.batcher(rows, .training)), FinetuneObjective()) { model in
            guard context.parameters.fresh == true else { return }
            context.log("fresh weights, seed \(seed)")
            try ParameterInitializer.fill(model, seed: seed)
        }
        result.architecture = VersionFiles.architecture(try job.base.readFile("config.json"))
        if var figures = result.result?.objectValue, let from = context.order.base {
            figures["from"] = .string("\(from.model)@\(from.version)")
            result.result = .object(figures)
        }
        return result
    }
}
