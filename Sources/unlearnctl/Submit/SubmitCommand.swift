// SPDX-License-Identifier: Apache-2.0

import Client
import Protocol

/// What all `submit` commands do once their specification is clear.
protocol SubmitCommand: ClientCommand {
    var common: SubmitOptions { get }
    /// The specification's maker.
    var builder: SpecBuilder { get }
}

extension SubmitCommand {
    func run(in session: Session) throws(ClientError) {
        let spec = try builder.build(session)
        if !common.sweep.isEmpty { return try SweepSubmission(common, spec).run(session) }
        let (raw, result) = try session.submit(spec, dryRun: common.dryRun)
        let output = session.output
        if common.dryRun {
            output.isJSON
                ? output.json(raw)
                : output.raw(
                    "The job can be queued"
                        + (result.spec.map { " as:\n" + JobDetail.asked($0) + "It" } ?? ". It")
                        + " is expected to need:\n" + Estimates.text(result.estimate))
            return
        }
        guard let job = result.job else {
            throw ClientError(.internalError, "the daemon took the job but named none")
        }
        if result.existing { output.note("job \(job.id) was submitted before with this key") }
        if common.wait {
            output.note("job \(job.id) is \(job.state.rawValue)")
            try session.awaitAndShow([job.id])
        } else if output.isQuiet {
            output.data("\(job.id)")
        } else if output.isJSON {
            output.json(raw["job"] ?? .null)
        } else {
            output.data(
                "job \(job.id) is \(job.state.rawValue): \(job.kind.rawValue) of \(job.model?.text ?? "–")")
            output.note("follow it with: unlearnctl wait \(job.id)")
        }
    }
}
