// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The rules of jobs that several processes do together, and of where jobs run.
extension SpecRules {
    static func checkPlace(_ parameters: JobParameters) throws(RPCError) {
        if parameters.startedBy != .local, parameters.transfer != nil {
            throw fault(
                parameters.launcher == nil ? "parameters.ranks" : "parameters.launcher",
                "files that come by descriptor cannot be passed on to other processes or machines",
                parameters.ranks ?? 1 > 1
                    ? "leave --ranks out, or import what is to be read first"
                    : "use --launcher local, or import what is to be read first")
        }
        guard let partition = parameters.partition else { return }
        guard parameters.launcher == .slurm else {
            throw fault(
                "parameters.partition", "a partition is Slurm's, and the job does not go there",
                "use --launcher slurm, or leave --partition out")
        }
        guard PlacementRule.isPartition(partition) else {
            throw fault(
                "parameters.partition", "\(partition.debugDescription) is no name of a partition",
                "sinfo lists those that there are")
        }
    }

    static func checkRanks(_ spec: JobSpec) throws(RPCError) {
        let parameters = spec.parameters ?? JobParameters()
        guard let ranks = parameters.ranks else { return }
        guard (1...4096).contains(ranks) else {
            throw fault("parameters.ranks", "ranks is \(ranks); it lies between 1 and 4096")
        }
        guard ranks > 1 else { return }
        if parameters.launcher == .local {
            throw fault(
                "parameters.launcher", "the launcher local starts one process, not \(ranks)",
                "use --launcher mpi or slurm, or leave --ranks out")
        }
        let rows = parameters.batchSize ?? 4
        if spec.sharesGradients, ranks > rows {
            throw fault(
                "parameters.ranks", "\(ranks) ranks cannot share batches of \(rows) rows",
                "raise --batch-size, or use fewer ranks")
        }
    }
}
