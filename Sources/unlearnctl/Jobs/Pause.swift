// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `pause`.
struct Pause: JobAction {
    static let configuration = CommandConfiguration(
        commandName: "pause",
        abstract:
            "Stop training jobs after their step; they keep a checkpoint and give memory and cores back.")
    static let method = Method.jobPause

    @Argument(
        help: "The jobs' numbers.", completion: LiveCompletion.jobs([.running]), transform: Arguments.job)
    var jobs: [JobID]
    @OptionGroup(title: "Global") var options: GlobalOptions
}
