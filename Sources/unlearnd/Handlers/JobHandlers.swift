// SPDX-License-Identifier: Apache-2.0

import Protocol

extension Router {
    /// `job.*`.
    mutating func addJobHandlers(_ control: ControlPlane) {
        on(.jobSubmit) { (params: JobSubmitParams, session) async throws(RPCError) in
            try await control.submit(params, peer: session.peer)
        }
        on(.jobSweep) { (params: JobSweepParams, session) async throws(RPCError) in
            try await control.sweep(params, peer: session.peer)
        }
        on(.jobList) { (params: JobListParams, _) async throws(RPCError) in try await control.jobs(params) }
        on(.jobShow) { (params: JobParams, _) async throws(RPCError) in try await control.job(params.job) }
        on(.jobLog) { (params: JobLogParams, _) async throws(RPCError) in try await control.log(params) }
        on(.jobEvidence) { (params: JobEvidenceParams, session) async throws(RPCError) in
            try await control.evidence(params, peer: session.peer)
        }
        on(.jobCancel) { (params: JobCancelParams, session) async throws(RPCError) in
            try await control.cancel(params, peer: session.peer)
        }
        on(.jobRetry) { (params: JobParams, session) async throws(RPCError) in
            try await control.retry(params.job, peer: session.peer)
        }
        on(.jobHold) { (params: JobParams, session) async throws(RPCError) in
            try await control.hold(params.job, peer: session.peer)
        }
        on(.jobPause) { (params: JobParams, session) async throws(RPCError) in
            try await control.pause(params.job, peer: session.peer)
        }
        on(.jobResume) { (params: JobParams, session) async throws(RPCError) in
            try await control.resume(params.job, peer: session.peer)
        }
        on(.jobPurge) { (params: PurgeJobParams, session) async throws(RPCError) in
            try await control.purge(params, peer: session.peer)
        }
        on(.jobRelease) { (params: JobParams, session) async throws(RPCError) in
            try await control.release(params.job, peer: session.peer)
        }
    }
}
