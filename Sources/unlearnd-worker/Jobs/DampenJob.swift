// SPDX-License-Identifier: Apache-2.0

import Engine
import Protocol

/// Makes weights smaller that matter to the forget set far more than to all data (selective synaptic dampening).
struct DampenJob {
    private let context: JobContext

    init(_ context: JobContext) { self.context = context }

    func run() throws -> WorkerResult {
        let job = try InMemoryEdit(context)
        let parameters = context.parameters
        let forget = try job.forget()
        guard let retain = job.sets.retain else {
            throw JobFailure(.badInput, "dampen has no retain set", hint: "give --retain")
        }
        let dampening = SynapticDampening(
            ratio: parameters.dampeningRatio ?? 10, strength: parameters.dampeningStrength ?? 1,
            labelFree: parameters.labelFree ?? false)
        func batches(_ examples: [Example]) -> [TokenBatch] {
            let size = parameters.batchSize ?? 4
            return stride(from: 0, to: examples.count, by: size).map {
                TokenBatch(padding: Array(examples[$0..<min($0 + size, examples.count)]))
            }
        }
        return try job.run(
            noOp:
                "no weight matters \(dampening.ratio) times as much to the forget set; try a lower --ratio"
        ) { model in
            func importances(_ batches: [TokenBatch], _ name: String) throws -> FloatStorage {
                let phase = context.phase("importance-\(name)", unit: "batches")
                return try dampening.importances(model, batches) { try phase.update($0, of: batches.count) }
            }
            let own = try importances(batches(forget), "forget")
            let all = try importances(batches(forget + retain), "all")
            let count = dampening.dampen(model, forget: own, all: all)
            let total = model.table.parameterCount
            context.log("\(count) of \(total) weights dampened")
            return [
                "parameters": .integer(Int64(count)), "share": .number(Double(count) / Double(total)),
            ]
        }
    }
}
