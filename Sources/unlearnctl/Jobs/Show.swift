// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `show`.
struct Show: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a job: what was asked, what came of it.")

    @Argument(help: "The job's number.", completion: LiveCompletion.jobs(), transform: Arguments.job) var job:
        JobID
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let raw = try session.call(.jobShow, JobParams(job: job))
        if session.output.isJSON { return session.output.json(raw) }
        let job = try Connection.decode(Job.self, raw)
        if session.output.isQuiet { return session.output.data("\(job.id)") }
        // Whether what it began with and what it made are still there, the job itself does not know.
        let versions = try job.model.map { model throws(ClientError) in
            try session.connection().versions(of: model)
        }
        session.output.raw(JobDetail.text(job, versions: versions ?? [], session.output))
    }
}
