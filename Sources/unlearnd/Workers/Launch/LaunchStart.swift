// SPDX-License-Identifier: Apache-2.0

import Protocol

/// One start of a job's worker, told from every other start by its job and epoch.
struct LaunchStart: Hashable, Sendable {
    var job: JobID
    var epoch: Int
    /// Processes that do the job together.
    var ranks: Int
    /// Threads of each.
    var threads: Int
    /// What all of them are expected to hold, bytes.
    var memory: Int64
    /// Where in the cluster, if anybody chose.
    var partition: String?
    /// The directory that all of them must see.
    var store: String

    /// The start that a claim is.
    init(_ claim: Claim) {
        let parameters = claim.spec.parameters ?? JobParameters()
        (job, epoch) = (claim.id, claim.epoch)
        (ranks, partition) = (parameters.ranks ?? 1, parameters.partition)
        (threads, memory, store) = (claim.order.threads, claim.memory, claim.order.store)
    }
}

/// A program to run.
struct LaunchCommand: Hashable, Sendable {
    var path: String
    var arguments: [String] = []
    var environment: [String: String]
}
