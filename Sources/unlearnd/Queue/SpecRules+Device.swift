// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The rules of jobs that are computed on a card: what it cannot do yet is refused before anything is done. The worker, which
/// knows the model, refuses architectures.
extension SpecRules {
    static func checkDevice(_ spec: JobSpec) throws(RPCError) {
        let parameters = spec.parameters ?? JobParameters()
        guard parameters.device == .cuda else { return }
        let hint = "leave it out, or use --device cpu"
        func refuse(_ condition: Bool, _ field: String, _ what: String) throws(RPCError) {
            guard condition else { return }
            throw fault("parameters." + field, "\(what) cannot be computed on a card yet", hint)
        }
        if parameters.precision == .f32 {
            throw fault(
                "parameters.precision", "a card computes products in bf16, not in f32",
                "leave --precision out, or use --device cpu")
        }
        switch spec.kind {
        case .rmu, .undial, .ceu, .pdu:
            throw fault(
                "parameters.device", "\(spec.kind.rawValue) cannot be computed on a card yet",
                "use --device cpu")
        default: break
        }
        try refuse(spec.editsFacts, "by", "an update by edit")
        try refuse(parameters.retainLoss ?? .nll != .nll, "retain_loss", "another retain loss than nll")
        try refuse(parameters.samRho != nil, "sam_rho", "sharpness-aware forgetting")
        try refuse(parameters.mask != nil, "mask", "a mask of weights")
        try refuse(parameters.loraRank != nil, "lora_rank", "training of adapters")
        try refuse(
            parameters.ranks ?? 1 > 1 || parameters.launcher == .mpi, "ranks", "a job of several ranks")
    }
}
