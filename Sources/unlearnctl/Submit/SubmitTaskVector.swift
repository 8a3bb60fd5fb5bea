// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `submit task-vector`.
struct SubmitTaskVector: SubmitCommand {
    static let configuration = CommandConfiguration(
        commandName: "task-vector", abstract: "Unlearn by subtracting the direction that a fine-tuning took.",
        discussion: """
            result = target − scale · (finetuned − base), tensor by tensor in 32-bit arithmetic, rounded once to the \
            target's type.

            Use it when you can fine-tune a copy of the model on what shall go (unlearnctl submit finetune --model M \
            --data forget.jsonl, as another model): what that made stronger is taken away. No training happens here, any \
            architecture will do, and memory does not grow with the model. --scale tells how much is taken. With \
            --adapter the direction is that of a LoRA adapter, alpha/rank · B · A.
            """)

    @OptionGroup(title: "Job") var common: SubmitOptions

    @Option(
        help: ArgumentHelp(
            "The version that was fine-tuned on what shall be forgotten.", valueName: "model[@vN]"),
        transform: Arguments.version)
    var finetuned: VersionReference?

    @Option(
        help: ArgumentHelp(
            "A directory with an adapter that PEFT saved, in place of --finetuned.", valueName: "directory"),
        completion: .directory)
    var adapter: String?

    @Option(
        help: ArgumentHelp(
            "The version that it started from (default: the target).", valueName: "model[@vN]"),
        transform: Arguments.version)
    var base: VersionReference?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("How much of the direction is subtracted (default 1).", valueName: "factor"),
        transform: Arguments.finite)
    var scale: Double?

    @OptionGroup(title: "Evaluation") var evaluation: EvaluationOptions
    @OptionGroup(title: "Global") var options: GlobalOptions

    var builder: SpecBuilder {
        SpecBuilder(kind: .taskVector, common: common, adapter: adapter) { parameters in
            evaluation.apply(to: &parameters)
            if let finetuned { parameters.finetuned = finetuned }
            if let base { parameters.base = base }
            if let scale { parameters.scale = scale }
        }
    }
}
