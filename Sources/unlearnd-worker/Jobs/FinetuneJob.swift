// SPDX-License-Identifier: Apache-2.0

import Engine
import Protocol

/// Trains a version on the rows of the retain set or, where there is none, on those of the forget set (the
/// reinforced side of a task vector).
struct FinetuneJob {
    private let context: JobContext

    init(_ context: JobContext) { self.context = context }

    func run() throws -> WorkerResult {
        let job = try TrainingJob(context)
        guard let rows = job.sets.retain ?? job.sets.forget else {
            throw JobFailure(.badInput, "finetune has no rows to learn", hint: "give them with --data")
        }
        return try job.run(.learning(job.batcher(rows, .training)), FinetuneObjective())
    }
}
