// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `wait`.
struct Wait: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait", abstract: "Wait until jobs have ended, and show them.",
        discussion: """
            Ends with the worst of the jobs' statuses: 4 cancelled or lost, 1 failed, 3 gate refused, 0 succeeded. Ctrl-C \
            stops the waiting, never the jobs. If the daemon restarts, the waiting goes on.
            """)

    @Argument(help: "The jobs' numbers.", completion: LiveCompletion.openJobs, transform: Arguments.job)
    var jobs: [JobID]
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) { try session.awaitAndShow(jobs) }
}
