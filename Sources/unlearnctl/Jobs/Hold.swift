// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `hold`.
struct Hold: JobAction {
    static let configuration = CommandConfiguration(
        commandName: "hold", abstract: "Keep queued jobs from starting until they are released.")
    static let method = Method.jobHold

    @Argument(
        help: "The jobs' numbers.", completion: LiveCompletion.jobs([.blocked, .queued]),
        transform: Arguments.job) var jobs: [JobID]
    @OptionGroup(title: "Global") var options: GlobalOptions
}
