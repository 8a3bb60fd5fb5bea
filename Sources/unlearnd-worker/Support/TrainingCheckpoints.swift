// SPDX-License-Identifier: Apache-2.0

import Engine
import Protocol

/// What a training job goes on from when it was paused or killed: when it is written, and whether it is still good.
final class TrainingCheckpoints {
    /// Seconds from one to the next unless the job says otherwise.
    private static let period = 300.0
    /// A run that took this long since the last one keeps its end as well: writing and measuring may be killed too.
    private static let worthKeeping = 30.0

    private let context: JobContext
    private let path: String?
    private let identity: JSONValue
    private var last = ContinuousClock.now

    init(_ context: JobContext) throws {
        self.context = context
        path = context.order.checkpoint
        // What decides the bytes of the result, and so not the number of threads.
        var provenance = try context.provenance()
        if var environment = provenance["environment"]?.objectValue {
            environment["threads"] = nil
            provenance["environment"] = .object(environment)
        }
        identity = .object(provenance)
    }

    /// The state to go on from, if there is one; one that is of no use is warned of.
    ///
    /// The first rank decides for all.
    func open() throws -> TrainingStateFile? {
        guard let path else { return nil }
        var file: TrainingStateFile?
        if context.ranks.isFirst {
            do throws(TrainingStateFile.Unusable) {
                file = try TrainingStateFile(path: path, identity: identity)
            } catch {
                try startOver(error)
            }
        }
        guard try context.ranks.firstSays(file != nil), !context.ranks.isFirst else { return file }
        var reason = "it is not there"
        do throws(TrainingStateFile.Unusable) {
            if let file = try TrainingStateFile(path: path, identity: identity) { return file }
        } catch {
            reason = error.reason
        }
        throw JobFailure(
            .storage, "the training checkpoint, which the first rank read, cannot be used: \(reason)",
            hint: "see that all ranks reach the state directory")
    }

    /// Fills the trainer's buffers and returns the state to go on from; that of the beginning without a file.
    func restore(_ file: TrainingStateFile?, _ trainer: Trainer) throws -> TrainerState {
        guard let file else { return TrainerState() }
        try trainer.read(file)
        context.log("going on from the training checkpoint after step \(file.state.steps)")
        return file.state
    }

    /// Called after each step: writes when it is time.
    /// - Throws: ``Paused`` when that is what the checkpoint is for.
    func stepped(_ state: TrainerState, of total: Int, _ trainer: Trainer) throws {
        let isPausing = try context.ranks.firstSays(context.isPausing)
        let seconds = context.parameters.checkpointSeconds ?? Self.period
        let isDue =
            try context.parameters.checkpointSteps.map { state.steps % $0 == 0 }
            ?? context.ranks.firstSays(ContinuousClock.now - last >= .seconds(seconds))
        // The last step's is written by `finished`, if at all.
        if isPausing || isDue && state.steps < total { try write(state, of: total, trainer) }
        if isPausing { throw Paused() }
    }

    /// Called after the last step.
    func finished(_ state: TrainerState, of total: Int, _ trainer: Trainer) throws {
        guard try context.ranks.firstSays(ContinuousClock.now - last >= .seconds(Self.worthKeeping))
        else { return }
        try write(state, of: total, trainer)
    }

    /// A checkpoint that cannot be written is no reason to lose the job.
    private func write(_ state: TrainerState, of total: Int, _ trainer: Trainer) throws {
        guard let path else { return }
        last = .now
        do {
            guard let size = try trainer.write(state, identity: identity, to: path) else { return }
            try context.send(
                .checkpoint(
                    TrainingCheckpoint(step: state.steps, total: total, bytes: Int64(size), time: .now)))
        } catch let error as EngineError {
            try context.send(.warning(error.message))
        }
    }

    private func startOver(_ unusable: TrainingStateFile.Unusable) throws {
        try context.send(
            .warning("the training checkpoint is not used, and the training starts over: \(unusable.reason)"))
    }
}
