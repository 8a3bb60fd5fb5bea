// SPDX-License-Identifier: Apache-2.0

import Protocol

/// A job that was just started, and all that its worker is told.
struct Claim: Sendable {
    var id: JobID
    /// The start that this is; results of an older one are refused.
    var epoch: Int
    var spec: JobSpec
    var submitter: Int
    /// The head of the model (for jobs that write) or the version named, as bound now.
    var base: VersionNumber?
    /// The head of the model, which the result follows if it still is.
    var head: VersionNumber?
    /// The version of the model that the result comes from.
    var parent: VersionNumber?
    /// What admission counts for it, bytes.
    var memory: Int64
    var order: WorkerOrder

    var model: ModelName? { spec.model?.model }
}
