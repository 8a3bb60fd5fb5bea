// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The rules of the parameters of jobs that train.
extension SpecRules {
    /// The numbers of the gradient methods.
    static func checkMethod(_ kind: JobKind, _ parameters: JobParameters) throws(RPCError) {
        func check(_ name: String, _ value: Double?, _ rule: String, _ holds: (Double) -> Bool)
            throws(RPCError)
        {
            guard let value, !(value.isFinite && holds(value)) else { return }
            throw fault("parameters.\(name)", "\(name) is \(value); it must be \(rule)")
        }
        try check("gamma", parameters.gamma, "a positive number") { $0 > 0 }
        try check("beta", parameters.beta, "a positive number") { $0 > 0 }
        try check("beta_unknown", parameters.betaUnknown, "a number of at least 0") { $0 >= 0 }
        try check("margin", parameters.margin, "a number of at least 0") { $0 >= 0 }
        try check("sam_rho", parameters.samRho, "a positive number") { $0 > 0 }
        try check("replacement_weight", parameters.replacementWeight, "a positive number") { $0 > 0 }
        try check("dual_rate", parameters.dualRate, "a positive number") { $0 > 0 }
        try check("retain_limit", parameters.retainLimit, "a positive number") { $0 > 0 }
        try check("steering", parameters.steering, "a positive number") { $0 > 0 }
        if parameters.retainLoss == .activations, kind != .rmu {
            throw fault(
                "parameters.retain_loss", "only rmu holds activations", "use --retain-loss nll or kl")
        }
        for (name, value, least) in [
            ("layer", parameters.layer, 0), ("alternates", parameters.alternates, 1),
            ("skip", parameters.skip, 0),
            ("dual_warm_up_epochs", parameters.dualWarmUpEpochs, 0),
        ] {
            guard let value, !(least...100_000).contains(value) else { continue }
            throw fault("parameters.\(name)", "\(name) is \(value); it lies between \(least) and 100000")
        }
        if kind == .idk, parameters.beta != nil, parameters.form != .dpo {
            throw fault(
                "parameters.beta", "only the form dpo of idk has a beta",
                "add --form dpo, or leave --beta out")
        }
        if let refusals = parameters.refusals {
            guard (1...1000).contains(refusals.count),
                refusals.allSatisfy({ (1...1000).contains($0.utf8.count) })
            else {
                throw fault("parameters.refusals", "there are 1 to 1000 refusals of 1 to 1000 bytes each")
            }
        }
    }

    static func checkTraining(
        _ parameters: JobParameters,
        _ range: (String, Int?, ClosedRange<Int>) throws(RPCError) -> Void,
        _ check: (String, Double?, String, (Double) -> Bool) throws(RPCError) -> Void
    ) throws(RPCError) {
        try range("accumulate", parameters.accumulate, 1...65_536)
        try check("warmup_steps", parameters.warmupSteps, "a number of steps, or a share of them below 1") {
            $0 >= 0 && $0 <= 1e9 && ($0 < 1 || $0 == $0.rounded())
        }
        try check("weight_decay", parameters.weightDecay, "0 or a positive number") { $0 >= 0 }
        try check("epsilon", parameters.epsilon, "a positive number") { $0 > 0 }
        try check("clip_norm", parameters.clipNorm, "a positive number") { $0 > 0 }
        try range("lora_rank", parameters.loraRank, 1...16_384)
        try check("lora_alpha", parameters.loraAlpha, "a positive number") { $0 > 0 }
        for (name, isGiven) in [
            ("lora_alpha", parameters.loraAlpha != nil), ("lora_targets", parameters.loraTargets != nil),
        ] where isGiven && parameters.loraRank == nil {
            throw fault("parameters.\(name)", "\(name) needs lora_rank", "give --lora-rank N")
        }
        if parameters.fresh == true && parameters.loraRank != nil {
            throw fault(
                "parameters.lora_rank", "adapters on fresh weights teach a model nothing else",
                "train all weights with --fresh, or begin at a trained version with --from MODEL@vN")
        }
        for (name, isGiven) in [
            ("train_tensors", parameters.trainTensors != nil),
            ("freeze_tensors", parameters.freezeTensors != nil),
        ] where isGiven && parameters.loraRank != nil {
            throw fault(
                "parameters.\(name)", "adapters are all that is trained with lora_rank",
                "name modules with --lora-targets and blocks with --train-layers")
        }
        if let betas = parameters.betas {
            guard betas.count == 2, betas.allSatisfy({ $0.isFinite && (0..<1).contains($0) }) else {
                throw fault("parameters.betas", "betas are two numbers from 0 to below 1")
            }
        }
        for (name, patterns) in [
            ("train_tensors", parameters.trainTensors), ("freeze_tensors", parameters.freezeTensors),
            ("lora_targets", parameters.loraTargets),
        ] {
            guard let patterns else { continue }
            guard patterns.count <= 1024, patterns.allSatisfy({ (1...1024).contains($0.utf8.count) }) else {
                throw fault(
                    "parameters.\(name)", "\(name) are at most 1024 names of 1 to 1024 bytes")
            }
        }
    }
}
