// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// A command that does one thing to each of the jobs that it names.
protocol JobAction: ClientCommand {
    var jobs: [JobID] { get }
    static var method: Method { get }
}

extension JobAction {
    func run(in session: Session) throws(ClientError) {
        var results: [JSONValue] = []
        for job in jobs {
            let raw = try session.call(Self.method, JobParams(job: job))
            results.append(raw)
            if session.output.isJSON { continue }
            // A job that is being paused runs until its step is done.
            let isPausing = raw["reason"]?.stringValue == "pausing"
            let state = isPausing ? "pausing" : raw["state"]?.stringValue ?? ""
            session.output.data(session.output.isQuiet ? "\(job)" : "job \(job) is \(Text.safe(state))")
        }
        if session.output.isJSON {
            session.output.json(jobs.count == 1 ? results.first ?? .null : .array(results))
        }
    }
}
