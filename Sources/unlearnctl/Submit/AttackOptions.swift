// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// How attacks are made.
struct AttackOptions: ParsableArguments {
    @Option(
        name: .customLong("attack-rows"),
        help: ArgumentHelp(
            "Most forgotten rows that an attack measures, spread evenly (default 512, for prompt 32).",
            valueName: "rows"))
    var attackRows: Int?

    @Option(
        name: .customLong("relearn-on"),
        help: ArgumentHelp(
            "relearn: train on some of the forgotten rows, or on the retain set (default forget).",
            valueName: "forget|retain"))
    var relearnOn: RelearnData?

    @Option(
        name: .customLong("relearn-rows"),
        help: ArgumentHelp(
            "relearn: rows to train on; the other forgotten rows are watched (default 20, at most a quarter).",
            valueName: "rows"))
    var relearnRows: Int?

    @Option(
        name: .customLong("relearn-steps"),
        help: ArgumentHelp("relearn: steps of training (default 50).", valueName: "number"))
    var relearnSteps: Int?

    @Option(
        name: .customLong("relearn-rate"),
        help: ArgumentHelp(
            "relearn: learning rate; use the one that the model was taught with (default 1e-5).",
            valueName: "rate"), transform: Arguments.finite)
    var relearnRate: Double?

    @Option(
        help: ArgumentHelp(
            "quantize: what weights are rounded to. May be repeated (default all).",
            valueName: "int8|int4|nf4"))
    var quantize: [QuantizationFormat] = []

    @Option(
        name: .customLong("attack-prompts"),
        help: ArgumentHelp(
            "prompt: a way to ask: plain, paraphrase, prefix, few_shot, affirmative, soft or suffix. May be repeated (default all that the rows allow but suffix, whose search takes longest).",
            valueName: "way"))
    var attackPrompts: [PromptVariant] = []

    @Option(
        help: ArgumentHelp(
            "prompt: samples of each way beside the greedy answer (default 4).", valueName: "number"))
    var samples: Int?

    @Option(
        name: .customLong("attack-temperature"),
        help: ArgumentHelp(
            "prompt: the temperature that samples are drawn at (default 1).", valueName: "number"),
        transform: Arguments.finite)
    var attackTemperature: Double?

    @Option(
        name: .customLong("leak-threshold"),
        help: ArgumentHelp(
            "prompt: the ROUGE-L recall from which on a row leaks (default 0.8).", valueName: "share"),
        transform: Arguments.finite)
    var leakThreshold: Double?

    @Option(
        name: .customLong("soft-tokens"),
        help: ArgumentHelp("prompt: virtual tokens of the soft prompt (default 16).", valueName: "number"))
    var softTokens: Int?

    @Option(
        name: .customLong("soft-steps"),
        help: ArgumentHelp("prompt: steps that it is learned in (default 100).", valueName: "number"))
    var softSteps: Int?

    @Option(
        name: .customLong("suffix-tokens"),
        help: ArgumentHelp(
            "prompt: tokens of the suffix that greedy coordinate gradient searches (default 16).",
            valueName: "number"))
    var suffixTokens: Int?

    @Option(
        name: .customLong("suffix-steps"),
        help: ArgumentHelp("prompt: steps of its search (default 50).", valueName: "number"))
    var suffixSteps: Int?

    @Option(
        name: .customLong("suffix-candidates"),
        help: ArgumentHelp("prompt: suffixes that each step tries (default 32).", valueName: "number"))
    var suffixCandidates: Int?

    /// Sets what was given.
    func apply(to parameters: inout JobParameters) {
        if let attackRows { parameters.attackRows = attackRows }
        if let relearnOn { parameters.relearnOn = relearnOn }
        if let relearnRows { parameters.relearnRows = relearnRows }
        if let relearnSteps { parameters.relearnSteps = relearnSteps }
        if let relearnRate { parameters.relearnRate = relearnRate }
        if !quantize.isEmpty { parameters.quantize = quantize }
        if !attackPrompts.isEmpty { parameters.attackPrompts = attackPrompts }
        if let samples { parameters.samples = samples }
        if let attackTemperature { parameters.attackTemperature = attackTemperature }
        if let leakThreshold { parameters.leakThreshold = leakThreshold }
        if let softTokens { parameters.softTokens = softTokens }
        if let softSteps { parameters.softSteps = softSteps }
        if let suffixTokens { parameters.suffixTokens = suffixTokens }
        if let suffixSteps { parameters.suffixSteps = suffixSteps }
        if let suffixCandidates { parameters.suffixCandidates = suffixCandidates }
    }
}
