// SPDX-License-Identifier: Apache-2.0

import Engine
import Protocol

/// Unlearns by gradient ascent on the forget set, held by descent on the retain set.
struct AscentJob {
    private let context: JobContext

    init(_ context: JobContext) { self.context = context }

    func run() throws -> WorkerResult {
        let job = try TrainingJob(context)
        let parameters = context.parameters
        let alpha = parameters.alpha ?? 0.5
        guard let forget = job.sets.forget else {
            throw JobFailure(.badInput, "ascent has no forget set", hint: "give --forget")
        }
        let forgetBatches = job.batcher(forget, .forget)
        guard let retain = job.sets.retain else {
            guard alpha == 1 else {
                throw JobFailure(
                    .badInput, "ascent with alpha \(alpha) has no retain set",
                    hint: "give --retain, or --alpha 1 to do without")
            }
            return try job.run(.forgetting(forgetBatches), AscentObjective(alpha: alpha, retains: false))
        }
        let pairs = try PairedBatches(
            forget: forgetBatches, retain: job.batcher(retain, .retain), pairing: parameters.pairing)
        return try job.run(
            .pairs(pairs), AscentObjective(alpha: alpha, retainLoss: parameters.retainLoss ?? .nll))
    }
}
