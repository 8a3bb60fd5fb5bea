// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `show`.
struct Show: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a job: what was asked, what came of it.")

    @Argument(help: "The job's number.", transform: Arguments.job) var job: JobID
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let raw = try session.call(.jobShow, JobParams(job: job))
        if session.output.isJSON { return session.output.json(raw) }
        let job = try Session.decode(Job.self, raw)
        if session.output.isQuiet { return session.output.data("\(job.id)") }
        session.output.raw(JobDetail.text(job, session.output))
    }
}
