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

    /// What needs whole weights or gradients in one process is refused where the ranks share the parameters out.
    static func checkShards(_ spec: JobSpec) throws(RPCError) {
        let parameters = spec.parameters ?? JobParameters()
        guard parameters.shardParameters == true else { return }
        guard parameters.ranks ?? 1 > 1 else {
            throw fault(
                "parameters.shard_parameters", "one process has nobody to share its parameters with",
                "give --ranks 2 or more, or leave --shard-parameters out")
        }
        func refuse(_ condition: Bool, _ field: String, _ what: String, _ hint: String) throws(RPCError) {
            guard condition else { return }
            throw fault(field, "\(what), which --shard-parameters leaves to no process", hint)
        }
        try refuse(
            spec.editsFacts, "parameters.by", "an edit of facts works on whole weights", "use --by gradient")
        try refuse(
            parameters.mask != nil, "parameters.mask", "a mask of weights is chosen from whole gradients",
            "leave --mask out, or --shard-parameters")
        try refuse(
            parameters.samRho != nil, "parameters.sam_rho",
            "sharpness-aware forgetting keeps a second set of weights",
            "leave --sam-rho out, or --shard-parameters")
        let metrics = (spec.gate.flatMap { try? Gate.parse($0) }?.metrics ?? [])
            .union(parameters.metrics ?? [])
        try refuse(
            metrics.contains(.gradientNorm), "parameters.metrics",
            "gradient_norm takes the whole gradient of each row",
            "name the other metrics, or leave --shard-parameters out")
        try refuse(
            spec.attacks?.isEmpty == false, "attacks", "attacks work on whole weights",
            "attack the version by a job of its own: unlearnctl submit attack")
    }
}
