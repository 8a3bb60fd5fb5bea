// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Where a training run stands between two steps: with the values of ``Trainer/buffers`` all that it takes to go on.
///
/// The order of the data and every schedule are functions of the settings and the step's number, so they need no
/// state of their own.
package struct TrainerState: Codable, Hashable, Sendable {
    /// Means over the steps of an epoch.
    struct Sums: Codable, Hashable, Sendable {
        var steps = 0
        var loss = 0.0
        var forget: Double?
        var retain: Double?
        /// Of the runs before this one.
        var seconds = 0.0

        mutating func add(_ losses: StepLosses) {
            steps += 1
            loss += losses.loss
            if let value = losses.forget { forget = (forget ?? 0) + value }
            if let value = losses.retain { retain = (retain ?? 0) + value }
        }

        func epoch(_ number: Int) -> TrainingEpoch {
            let count = Double(steps)
            return TrainingEpoch(
                epoch: number, loss: loss / count, forgetLoss: forget.map { $0 / count },
                retainLoss: retain.map { $0 / count }, steps: steps, seconds: seconds)
        }
    }

    /// Steps that were taken in all.
    package internal(set) var steps = 0
    /// The epoch that the next step belongs to, counted from 0; one that is over has not been reported yet.
    package internal(set) var epoch = 0
    /// Steps that were taken of it.
    package internal(set) var stepsOfEpoch = 0
    /// The optimiser's count of steps.
    package internal(set) var optimizerSteps = 0
    /// What the objective carries from step to step.
    package internal(set) var objective: [Double] = []
    /// The epochs that were reported.
    package internal(set) var epochs: [TrainingEpoch] = []
    /// The forget loss that ended the run, if one did.
    package internal(set) var cappedAt: Double?
    var sums = Sums()

    /// Before the first step.
    package init() {}
}
