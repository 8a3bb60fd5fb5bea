// SPDX-License-Identifier: Apache-2.0

import Client
import Protocol

/// Submits a family of jobs and, if that is wanted, waits for all of them and ranks them.
struct SweepSubmission {
    private let common: SubmitOptions
    private let spec: JobSpec

    /// A family: what its jobs have in common, and the options that say what varies.
    init(_ common: SubmitOptions, _ spec: JobSpec) {
        self.common = common
        self.spec = spec
    }

    func run(_ session: Session) throws(ClientError) {
        let output = session.output
        let raw = try session.call(
            .jobSweep,
            JobSweepParams(spec: spec, axes: common.sweep, dryRun: common.dryRun ? true : nil))
        let result = try Connection.decode(JobSweepResult.self, raw)
        for warning in result.warnings { output.warn(Text.safe(warning)) }
        if common.dryRun {
            if output.isJSON { return output.json(raw) }
            output.data("\(result.size) jobs on \(result.base). Together they are expected to need:")
            return output.raw(Estimates.text(result.estimate))
        }
        let jobs = result.jobs.map(\.id)
        guard let first = jobs.first, let last = jobs.last else {
            throw ClientError(.internalError, "the daemon took the sweep but named no job")
        }
        guard common.wait else {
            if output.isJSON { return output.json(raw) }
            if output.isQuiet { return jobs.forEach { output.data("\($0)") } }
            output.data(
                "sweep \(Text.safe(result.family ?? "")): jobs \(first) to \(last), \(result.size) times \(spec.kind.rawValue) of \(result.base)"
            )
            return output.note("when they have ended: unlearnctl report \(first) ranks them")
        }
        output.note("jobs \(first) to \(last) are one sweep of \(result.base)")
        let finished = try JobWaiter(session, jobs).wait()
        var family: [Job] = []
        for value in finished { family.append(try Connection.decode(Job.self, value)) }
        if output.isJSON {
            output.json(.array(finished))
        } else if output.isQuiet {
            jobs.forEach { output.data("\($0)") }
        } else {
            output.raw(
                TerminalReport.lines(ReportBuilder.sweep(family, current: nil), output)
                    + "Each in full: unlearnctl report JOB\n")
        }
        let status = Self.status(family)
        if status != .ok { throw .silent(status) }
    }

    /// 0 if one of them may become head; else the worst of what they ended with.
    private static func status(_ family: [Job]) -> Status {
        SweepRanking(family).best != nil ? .ok : JobExit.worst(family.map(JobExit.status))
    }
}
