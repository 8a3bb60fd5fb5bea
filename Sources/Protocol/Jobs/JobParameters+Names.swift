// SPDX-License-Identifier: Apache-2.0

/// Which parameters each kind of job reads.
extension JobParameters {
    /// What attacks read.
    private static let attackNames: Set<String> = [
        "attack_rows", "relearn_on", "relearn_rows", "relearn_steps", "relearn_rate", "quantize",
        "attack_prompts",
        "samples", "attack_temperature", "leak_threshold", "soft_tokens", "soft_steps",
        "suffix_tokens", "suffix_steps", "suffix_candidates",
    ]

    /// The names of the parameters that `kind` reads.
    package static func names(for kind: JobKind) -> Set<String> {
        kind.unlearns ? ownNames(of: kind).union(attackNames) : ownNames(of: kind)
    }

    /// What `update` reads only if it edits.
    private static let factNames: Set<String> = [
        "layers", "edit_steps", "edit_learning_rate", "covariance_weight", "edit_clamp",
    ]

    /// The names of the parameters that one way of `update` reads.
    package static func names(for way: UpdateWay) -> Set<String> {
        switch way {
        case .gradient: names(for: .update).subtracting(factNames)
        case .edit: evaluation.union(attackNames).union(factNames).union(["by"])
        }
    }

    /// How a prompt is laid out.
    private static let layout: Set<String> = [
        "template", "system_prompt", "prompt_prefix", "prompt_suffix",
    ]

    /// What every job that measures a model reads.
    private static let evaluation = layout.union([
        "accuracy", "metrics", "batch_size", "max_length", "truncate", "max_new_tokens", "precision",
        "profile", "launcher", "partition", "ranks",
    ])

    private static func ownNames(of kind: JobKind) -> Set<String> {
        let training = evaluation.union([
            "epochs", "learning_rate", "shuffle", "schedule", "warmup_steps", "weight_decay",
            "betas", "epsilon", "accumulate", "clip_norm", "train_layers", "train_tensors", "freeze_tensors",
            "lora_rank", "lora_alpha", "lora_targets", "checkpoint_activations",
            "checkpoint_steps", "checkpoint_seconds", "device", "shard_parameters",
        ])
        let forgetting = training.union([
            "alpha", "pairing", "retain_loss", "max_forget_loss", "sam_rho", "mask", "mask_ratio",
        ])
        let weighted = forgetting.union(["gamma"])
        switch kind {
        case .ascent: return forgetting
        case .graddiff: return weighted
        case .npo, .dpo, .undial, .wga: return weighted.union(["beta"])
        case .simnpo: return weighted.union(["beta", "margin"])
        case .idk: return weighted.union(["beta", "form", "refusals"])
        case .altpo: return weighted.union(["beta", "alternates", "max_new_tokens"])
        case .update: return weighted.union(["beta", "replacement_weight", "by"]).union(factNames)
        case .rmu: return weighted.union(["layer", "steering"]).subtracting(["max_forget_loss"])
        case .satimp: return weighted.union(["beta", "beta_unknown"])
        case .ceu: return weighted.union(["skip"])
        case .pdu: return weighted.union(["dual_rate", "retain_limit", "dual_warm_up_epochs"])
        case .finetune: return training
        case .retrain: return training.union(["from", "fresh"])
        case .exact: return evaluation
        case .taskVector:
            return evaluation.union([
                "finetuned", "base", "scale", "transfer", "density", "layer_scale", "scale_grid",
            ])
        case .ablate:
            return evaluation.union([
                "units", "attribution", "attribution_steps", "attribution_rows", "retain_weight", "fraction",
                "count", "target_drop", "mode", "factor",
            ])
        case .dampen: return evaluation.union(["ratio", "strength", "label_free"])
        case .evaluate: return evaluation.union(["device"])
        case .attack: return evaluation.union(attackNames)
        case .import: return ["transfer", "skip_other_weights"]
        case .create: return ["transfer"]
        case .export: return ["transfer", "adapter", "reason"]
        case .generate:
            return layout.union([
                "prompt", "prompts", "max_new_tokens", "temperature", "top_k", "top_p", "count", "reason",
            ])
        case .tokenize: return ["text", "special"]
        case .diff: return ["other"]
        case .verify: return ["quick", "sample", "seconds"]
        case .backup: return ["target", "full"]
        case .restore: return ["target", "dry_run"]
        case .publish: return ["target"]
        case .optimize: return ["dry_run"]
        }
    }
}
