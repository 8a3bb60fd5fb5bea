// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `report`.
struct Report: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Report on a job: what was asked, what it changed, how it was measured.")

    @Argument(help: "The job's number.", transform: Arguments.job) var job: JobID
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let raw = try session.call(.jobShow, JobParams(job: job))
        let job = try Session.decode(Job.self, raw)
        var versions: [VersionSummary] = []
        if let model = job.model {
            let answer = try session.connection().callReturningError(.modelHistory, ModelParams(model: model))
            if case .success(let value) = answer {
                versions = try Session.decode([VersionSummary].self, value)
            }
        }
        versions = versions.filter { $0.version == job.base || $0.version == job.version }
        guard session.output.isJSON else {
            return session.output.raw(ReportText.text(job, versions, session.output))
        }
        let encoded = versions.compactMap { try? JSONValue(encoding: $0) }
        session.output.json([
            "job": raw, "versions": .array(encoded),
            "limits": .array(ReportText.limits(job).map { .string($0) }),
        ])
    }
}
