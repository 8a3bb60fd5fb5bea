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
            architecture will do, and memory does not grow with the model. --scale tells how much is taken; --scale \
            auto tries a grid in memory and takes the smallest that meets the gate. --density 0.2 takes only the largest \
            fifth of each tensor's direction, which spares what the fine-tuning moved by chance. With \
            --adapter the direction is that of a LoRA adapter, alpha/rank · B · A.
            """)

    @OptionGroup(title: "Job") var common: SubmitOptions

    @Option(
        help: ArgumentHelp(
            "The version that was fine-tuned on what shall be forgotten.", valueName: "model[@vN]"),
        completion: LiveCompletion.versions, transform: Arguments.version)
    var finetuned: VersionReference?

    @Option(
        help: ArgumentHelp(
            "A directory with an adapter that PEFT saved, in place of --finetuned.", valueName: "directory"),
        completion: .directory)
    var adapter: String?

    @Option(
        help: ArgumentHelp(
            "The version that it started from (default: the target).", valueName: "model[@vN]"),
        completion: LiveCompletion.versions, transform: Arguments.version)
    var base: VersionReference?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "How much of the direction is subtracted (default 1), or auto: the smallest of --scale-grid that meets the gate.",
            valueName: "factor|auto"), transform: ScaleArgument.init(_:))
    var scale: ScaleArgument?

    @Option(
        name: .customLong("scale-grid"),
        help: ArgumentHelp(
            "The scales that auto tries, ascending (default 0.25,0.5,0.75,1,1.5,2,3,4).", valueName: "list"),
        transform: ScaleArgument.grid)
    var scaleGrid: [Double]?

    @Option(
        help: ArgumentHelp(
            "Keep of each tensor's direction only this share, the largest elements (TIES; default 1).",
            valueName: "share"), transform: Arguments.finite)
    var density: Double?

    @Option(
        name: .customLong("layer-scale"),
        help: ArgumentHelp(
            "Factors of the scale by layer, such as 0-3=0.5,4-=1.", valueName: "list"))
    var layerScale: String?

    @OptionGroup(title: "Attack") var attackOptions: AttackOptions
    @OptionGroup(title: "Evaluation") var evaluation: EvaluationOptions
    @OptionGroup(title: "Global") var options: GlobalOptions

    var builder: SpecBuilder {
        SpecBuilder(kind: .taskVector, common: common, adapter: adapter) { parameters in
            evaluation.apply(to: &parameters)
            attackOptions.apply(to: &parameters)
            if let finetuned { parameters.finetuned = finetuned }
            if let base { parameters.base = base }
            switch scale {
            case .number(let number): parameters.scale = number
            case .auto: parameters.scaleGrid = scaleGrid ?? ScaleArgument.standardGrid
            case nil: if let scaleGrid { parameters.scaleGrid = scaleGrid }
            }
            if let density { parameters.density = density }
            if let layerScale { parameters.layerScale = layerScale }
        }
    }
}
