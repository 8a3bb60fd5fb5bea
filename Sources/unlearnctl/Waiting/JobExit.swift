// SPDX-License-Identifier: Apache-2.0

import Client
import Protocol

/// The status that a finished job gives to the command that waited for it.
enum JobExit {
    /// One job's status: 0, 1, 3 or 4.
    static func status(_ job: Job) -> Status {
        switch job.state {
        case .succeeded: job.gate?.passed == false ? .gateRefused : .ok
        case .cancelled, .lost: .cancelledOrLost
        default: .jobFailed
        }
    }

    /// The worst in the order 4, 1, 3, 0.
    static func worst(_ statuses: [Status]) -> Status {
        [.cancelledOrLost, .jobFailed, .gateRefused].first { statuses.contains($0) } ?? .ok
    }

    /// Why a job that carried files or answered a question did not succeed; `nil` if it did.
    static func failure(of job: Job) -> ClientError? {
        guard job.state != .succeeded else { return nil }
        guard let error = job.error else {
            let reason = job.reason.map { " (\($0))" } ?? ""
            return ClientError(status(job), "job \(job.id) ended as \(job.state.rawValue)\(reason)")
        }
        var status = status(job)
        if job.kind == .import || job.kind == .export {
            if error.kind == .badInput || error.kind == .unsupported { status = .badInput }
            if error.kind == .storage || error.kind == .integrity { status = .storage }
        }
        return ClientError(status, "job \(job.id) failed: \(error.message)", hint: error.hint)
    }
}
