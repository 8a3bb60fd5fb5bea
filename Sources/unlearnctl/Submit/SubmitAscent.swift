// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `submit ascent`.
struct SubmitAscent: SubmitCommand {
    static let configuration = CommandConfiguration(
        commandName: "ascent",
        abstract: "Unlearn by gradient ascent on what is forgotten, descent on what is kept.",
        discussion: """
            loss = alpha · (−L_forget) + (1 − alpha) · L_retain, minimised with AdamW; one forget and one retain batch a \
            step. L is the mean negative log-likelihood of the labelled tokens.

            Use it for single facts, persons or documents whose text you have, together with text that the model must \
            keep. Ascent has no floor: too many steps destroy the model. Begin with few epochs, bound it with \
            --max-forget-loss, and let a gate decide: --gate forget=good,utility>=0.9.
            """)

    @OptionGroup(title: "Job") var common: SubmitOptions
    @OptionGroup(title: "Holding") var holding: HoldingOptions
    @OptionGroup(title: "Training") var training: TrainingOptions
    @OptionGroup(title: "Mask") var maskOptions: MaskOptions
    @OptionGroup(title: "Attack") var attackOptions: AttackOptions
    @OptionGroup(title: "Evaluation") var evaluation: EvaluationOptions

    @Option(
        help: ArgumentHelp(
            "Weight of forgetting against keeping, 0 to 1 (default 0.5).", valueName: "weight"),
        transform: Arguments.finite)
    var alpha: Double?

    @OptionGroup(title: "Global") var options: GlobalOptions

    var builder: SpecBuilder {
        SpecBuilder(kind: .ascent, common: common) { parameters in
            training.apply(to: &parameters)
            evaluation.apply(to: &parameters)
            attackOptions.apply(to: &parameters)
            maskOptions.apply(to: &parameters)
            if let alpha { parameters.alpha = alpha }
            holding.apply(to: &parameters)
        }
    }
}
