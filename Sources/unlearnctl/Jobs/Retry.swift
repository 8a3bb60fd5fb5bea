// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `retry`.
struct Retry: JobAction {
    static let configuration = CommandConfiguration(
        commandName: "retry", abstract: "Queue jobs again that failed, were cancelled or lost.")
    static let method = Method.jobRetry

    @Argument(
        help: "The jobs' numbers.", completion: LiveCompletion.jobs([.failed, .cancelled, .lost]),
        transform: Arguments.job) var jobs: [JobID]
    @OptionGroup(title: "Global") var options: GlobalOptions
}
