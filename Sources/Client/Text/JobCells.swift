// SPDX-License-Identifier: Apache-2.0

import Protocol

/// A job as a row of a table.
package enum JobCells {
    /// What stands in each column.
    package static let headings = ["ID", "KIND", "MODEL", "STATE", "RESULT", "CREATED", "NOTE"]

    /// The row of `job`.
    package static func cells(_ job: Job) -> [String] {
        [
            "\(job.id)", job.kind.rawValue, model(job), state(job), result(job), Text.relative(job.created),
            job.note ?? "",
        ]
    }

    private static func model(_ job: Job) -> String {
        guard let model = job.model else { return "–" }
        return (job.base ?? job.spec.model?.version).map { "\(model)@\($0)" } ?? model.text
    }

    private static func state(_ job: Job) -> String {
        if job.state.isTerminal { return job.state.rawValue }
        if let progress = job.progress {
            let share = progress.total.flatMap {
                $0 > 0 ? " \(Int(min(1, max(0, progress.done / $0)) * 100)) %" : nil
            }
            return "\(job.state.rawValue): \(progress.phase)\(share ?? "")"
        }
        if let time = job.retryAt {
            let count = job.spec.retries.map { "\(job.retried ?? 0) of \($0)" } ?? "\(job.retried ?? 0)"
            return "\(job.state.rawValue) (retry \(count) \(Text.relative(time)))"
        }
        return job.reason.map { "\(job.state.rawValue) (\($0))" } ?? job.state.rawValue
    }

    private static func result(_ job: Job) -> String {
        if let error = job.error { return error.message }
        guard let version = job.version else { return job.state.isTerminal ? job.reason ?? "" : "" }
        if job.gate?.passed == false { return "\(version), gate refused" }
        return job.headMoved == true ? "\(version), head" : "\(version), candidate"
    }
}
