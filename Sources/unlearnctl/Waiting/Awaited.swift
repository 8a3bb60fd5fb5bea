// SPDX-License-Identifier: Apache-2.0

import Client
import Protocol

extension Session {
    /// Submits a job and says what is worth saying.
    /// - Returns: The daemon's answer.
    func submit(_ spec: JobSpec, dryRun: Bool = false) throws(ClientError) -> (
        raw: JSONValue, result: JobSubmitResult
    ) {
        let raw = try call(.jobSubmit, JobSubmitParams(spec: spec, dryRun: dryRun ? true : nil))
        let result = try Connection.decode(JobSubmitResult.self, raw)
        for warning in result.warnings { output.warn(Text.safe(warning)) }
        return (raw, result)
    }

    /// Submits a job that somebody waits for at the terminal, and returns it as it ended, well.
    /// - Throws: ``ClientError`` for anything but success.
    func perform(_ spec: JobSpec, onInterrupt: JobWaiter.Interruption = .cancel) throws(ClientError) -> (
        raw: JSONValue, job: Job
    ) {
        let results = try perform([spec], onInterrupt: onInterrupt)
        guard let first = results.first else { throw ClientError(.internalError, "the daemon gave no job") }
        return first
    }

    /// The same for several jobs at once, in their order.
    func perform(
        _ specs: [JobSpec], onInterrupt: JobWaiter.Interruption = .cancel
    ) throws(ClientError) -> [(raw: JSONValue, job: Job)] {
        var jobs: [JobID] = []
        for spec in specs {
            guard let job = try submit(spec).result.job else {
                throw ClientError(.internalError, "the daemon took the job but named none")
            }
            jobs.append(job.id)
        }
        let finished = try JobWaiter(
            self, jobs, onInterrupt: onInterrupt, writesLines: specs.contains { !$0.kind.isInteractive }
        ).wait()
        var results: [(raw: JSONValue, job: Job)] = []
        for raw in finished {
            let job = try Connection.decode(Job.self, raw)
            if let failure = JobExit.failure(of: job) { throw failure }
            results.append((raw, job))
        }
        return results
    }

    /// Waits for jobs, shows each as it ended, and ends with the worst status.
    func awaitAndShow(_ jobs: [JobID]) throws(ClientError) {
        let finished = try JobWaiter(self, jobs).wait()
        var statuses: [Status] = []
        for raw in finished {
            let job = try Connection.decode(Job.self, raw)
            statuses.append(JobExit.status(job))
            if !output.isJSON {
                if output.isQuiet {
                    output.data("\(job.id)")
                } else {
                    if statuses.count > 1 { output.data("") }
                    output.raw(JobText.outcome(job, output))
                }
            }
            if let failure = JobExit.failure(of: job) { output.failure(failure) }
        }
        if output.isJSON {
            if jobs.count == 1, let only = finished.first {
                output.json(only)
            } else {
                output.json(.array(finished))
            }
        }
        let status = JobExit.worst(statuses)
        if status != .ok { throw .silent(status) }
    }
}
