// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `cancel`.
struct Cancel: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "Stop jobs; their models stay as they were.",
        discussion: "A job that is being committed is no longer stopped.")

    @Argument(help: "The jobs' numbers.", completion: LiveCompletion.openJobs, transform: Arguments.job)
    var jobs: [JobID]

    @Flag(help: "Kill the worker at once instead of asking it first.")
    var force = false

    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        var results: [JSONValue] = []
        for job in jobs {
            let raw = try session.call(.jobCancel, JobCancelParams(job: job, force: force ? true : nil))
            results.append(raw)
            if session.output.isJSON { continue }
            let result = try Connection.decode(JobCancelResult.self, raw)
            let already = result.already ? " already" : ""
            session.output.data(
                session.output.isQuiet ? "\(job)" : "job \(job) is\(already) \(result.state.rawValue)")
        }
        if session.output.isJSON {
            session.output.json(jobs.count == 1 ? results.first ?? .null : .array(results))
        }
    }
}
