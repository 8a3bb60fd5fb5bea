// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `release`.
struct Release: JobAction {
    static let configuration = CommandConfiguration(commandName: "release", abstract: "Let held jobs start.")
    static let method = Method.jobRelease

    @Argument(help: "The jobs' numbers.", completion: LiveCompletion.jobs([.held]), transform: Arguments.job)
    var jobs: [JobID]
    @OptionGroup(title: "Global") var options: GlobalOptions
}
