// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `logs`.
struct Logs: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Show what a job's worker said.")

    @Argument(help: "The job's number.", completion: LiveCompletion.jobs(), transform: Arguments.job) var job:
        JobID

    @Flag(name: [.short, .long], help: "Go on until the job ends.")
    var follow = false

    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        var last: Int64 = 0
        guard follow else {
            try printStored(session, after: &last)
            return
        }
        let connection = try session.connection()
        // Subscribed before the stored lines are read, so that no line falls between the two.
        let types = [EventType.log, .state].map(\.rawValue)
        try session.call(.eventsSubscribe, SubscribeParams(types: types, jobs: [job]))
        try printStored(session, after: &last)
        var isOver = try session.call(.jobShow, JobParams(job: job), as: Job.self).state.isTerminal
        while !isOver {
            guard let message = try connection.next(session.deadline) else {
                throw ClientError(.timedOut, "timed out; job \(job) goes on")
            }
            guard case .event(let event, _) = message else { continue }
            switch event.type {
            case .log:
                guard let line = try? event.data.decode(LogLine.self, allowUnknown: true) else { continue }
                if line.line == last + 1 {
                    try show(event.data, session.output)
                    last = line.line
                } else if line.line > last {
                    try printStored(session, after: &last)
                }
            case .state:
                isOver = event.data["to"]?.stringValue.flatMap(JobState.init(rawValue:))?.isTerminal == true
            case .lagged:
                try session.call(.eventsSubscribe, SubscribeParams(types: types, jobs: [job]))
                try printStored(session, after: &last)
                isOver = try session.call(.jobShow, JobParams(job: job), as: Job.self).state.isTerminal
            default: break
            }
        }
        try printStored(session, after: &last)
    }

    private func printStored(_ session: Session, after last: inout Int64) throws(ClientError) {
        while true {
            let raw = try session.call(.jobLog, JobLogParams(job: job, after: last))
            for line in raw["lines"]?.arrayValue ?? [] {
                try show(line, session.output)
                last = max(last, line["line"]?.integerValue ?? last)
            }
            guard let next = raw["next"]?.integerValue, next >= last,
                raw["lines"]?.arrayValue?.isEmpty == false
            else { return }
        }
    }

    private func show(_ raw: JSONValue, _ output: Output) throws(ClientError) {
        if output.isJSON { return output.json(raw) }
        let line = try Connection.decode(LogLine.self, raw)
        let level = line.level == "info" ? "" : "\(line.level): "
        let time = String(line.time.description.dropFirst(11).prefix(8))
        output.data("\(time)  \(Text.safe(level + line.message, keepingLines: true))")
    }
}
