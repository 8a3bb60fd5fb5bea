// SPDX-License-Identifier: Apache-2.0

/// How the parameters are spelled in JSON.
extension JobParameters {
    enum CodingKeys: String, CodingKey, CaseIterable {
        case epochs, alpha, pairing, precision, profile, accuracy, metrics, truncate, shuffle
        case gamma, beta, margin, form, refusals, alternates, skip, layer, steering, from, fresh
        case betaUnknown = "beta_unknown"
        case samRho = "sam_rho"
        case replacementWeight = "replacement_weight"
        case by, layers
        case editSteps = "edit_steps"
        case editLearningRate = "edit_learning_rate"
        case covarianceWeight = "covariance_weight"
        case editClamp = "edit_clamp"
        case dualRate = "dual_rate"
        case retainLimit = "retain_limit"
        case dualWarmUpEpochs = "dual_warm_up_epochs"
        case finetuned, base, scale, transfer, prompt, text, special, other, quick
        case sample, seconds, scheduled
        case target, full
        case dryRun = "dry_run"
        case schedule, betas, epsilon, accumulate, adapter
        case reason
        case learningRate = "learning_rate"
        case warmupSteps = "warmup_steps"
        case weightDecay = "weight_decay"
        case clipNorm = "clip_norm"
        case trainLayers = "train_layers"
        case trainTensors = "train_tensors"
        case freezeTensors = "freeze_tensors"
        case loraRank = "lora_rank"
        case loraAlpha = "lora_alpha"
        case loraTargets = "lora_targets"
        case checkpointActivations = "checkpoint_activations"
        case batchSize = "batch_size"
        case maxLength = "max_length"
        case retainLoss = "retain_loss"
        case maxForgetLoss = "max_forget_loss"
        case skipOtherWeights = "skip_other_weights"
        case maxNewTokens = "max_new_tokens"
        case ranks, launcher, partition, device
        case shardParameters = "shard_parameters"
        case template, prompts, temperature, count
        case topK = "top_k"
        case topP = "top_p"
        case checkpointSteps = "checkpoint_steps"
        case checkpointSeconds = "checkpoint_seconds"
        case systemPrompt = "system_prompt"
        case promptPrefix = "prompt_prefix"
        case promptSuffix = "prompt_suffix"
        case density
        case layerScale = "layer_scale"
        case scaleGrid = "scale_grid"
        case units, attribution, fraction, mode, factor
        case attributionSteps = "attribution_steps"
        case attributionRows = "attribution_rows"
        case retainWeight = "retain_weight"
        case targetDrop = "target_drop"
        case dampeningRatio = "ratio"
        case dampeningStrength = "strength"
        case labelFree = "label_free"
        case mask
        case maskRatio = "mask_ratio"
        case quantize, samples
        case attackPrompts = "attack_prompts"
        case attackRows = "attack_rows"
        case relearnOn = "relearn_on"
        case relearnRows = "relearn_rows"
        case relearnSteps = "relearn_steps"
        case relearnRate = "relearn_rate"
        case attackTemperature = "attack_temperature"
        case leakThreshold = "leak_threshold"
        case softTokens = "soft_tokens"
        case softSteps = "soft_steps"
        case suffixTokens = "suffix_tokens"
        case suffixSteps = "suffix_steps"
        case suffixCandidates = "suffix_candidates"
    }
}
