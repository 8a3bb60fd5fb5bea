// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `submit dampen`.
struct SubmitDampen: SubmitCommand {
    static let configuration = CommandConfiguration(
        commandName: "dampen",
        abstract:
            "Unlearn by making weights smaller that matter to what is forgotten far more than to all data.",
        discussion: """
            Selective synaptic dampening. With I the mean over batches of the squared batch gradient of the loss, on the \
            forget set (I_F) and on forget and retain set together (I_D):

              where I_F > ratio · I_D:   weight ← weight · min(1, strength · I_D / I_F)

            Use it for a quick edit without training: one pass over the data, no learning rate. The batch size is part \
            of the formula. A lower --ratio edits more weights; let a gate decide. --label-free needs no right answers: \
            it takes the gradient of the logits' squared norm.
            """)

    @OptionGroup(title: "Job") var common: SubmitOptions
    @OptionGroup(title: "Attack") var attackOptions: AttackOptions
    @OptionGroup(title: "Evaluation") var evaluation: EvaluationOptions

    @Option(
        help: ArgumentHelp(
            "How many times more a weight must matter to the forget set; alpha in the paper (default 10).",
            valueName: "number"), transform: Arguments.finite)
    var ratio: Double?

    @Option(
        help: ArgumentHelp(
            "Factor of what such weights keep; lambda in the paper (default 1).", valueName: "number"),
        transform: Arguments.finite)
    var strength: Double?

    @Flag(name: .customLong("label-free"), help: "Importances from the logits' norm instead of the labels.")
    var labelFree = false

    @OptionGroup(title: "Global") var options: GlobalOptions

    var builder: SpecBuilder {
        SpecBuilder(kind: .dampen, common: common) { parameters in
            evaluation.apply(to: &parameters)
            attackOptions.apply(to: &parameters)
            if let ratio { parameters.dampeningRatio = ratio }
            if let strength { parameters.dampeningStrength = strength }
            if labelFree { parameters.labelFree = true }
        }
    }
}
