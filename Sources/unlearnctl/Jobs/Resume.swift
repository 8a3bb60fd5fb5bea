// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `resume`.
struct Resume: JobAction {
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "Let paused jobs go on from where they were stopped.")
    static let method = Method.jobResume

    @Argument(
        help: "The jobs' numbers.", completion: LiveCompletion.jobs([.paused, .running]),
        transform: Arguments.job) var jobs: [JobID]
    @OptionGroup(title: "Global") var options: GlobalOptions
}
