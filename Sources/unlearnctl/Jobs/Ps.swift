// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `ps`.
struct Ps: ClientCommand {
    static let configuration = CommandConfiguration(commandName: "ps", abstract: "List jobs, newest last.")

    @Flag(help: "Also jobs that somebody waited for at a terminal: exports, diffs, generations.")
    var all = false

    @Option(
        help: ArgumentHelp("Only jobs in these states, separated by commas.", valueName: "states"),
        transform: Arguments.states)
    var state: [JobState]?

    @Option(
        help: ArgumentHelp("Only jobs of this model.", valueName: "model"), completion: LiveCompletion.models,
        transform: Arguments.model)
    var model: ModelName?

    @Option(help: ArgumentHelp("The newest so many (default 100).", valueName: "number"))
    var limit: Int?

    @OptionGroup(title: "Global") var options: GlobalOptions

    func validate() throws {
        if let limit, limit < 1 { throw ValidationError("--limit is a number from 1.") }
    }

    func run(in session: Session) throws(ClientError) {
        let params = JobListParams(states: state, model: model, all: all ? true : nil, limit: limit)
        let raw = try session.call(.jobList, params)
        if session.output.isJSON { return session.output.json(raw) }
        let jobs = try Connection.decode([Job].self, raw)
        if session.output.isQuiet { return jobs.forEach { session.output.data("\($0.id)") } }
        session.output.table(JobTable.table(jobs))
    }
}
