// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `submit undial`.
struct SubmitUndial: SubmitCommand {
    static let configuration = CommandConfiguration(
        commandName: "undial",
        abstract: "Unlearn by self-distillation with the label lowered (UNDIAL).",
        discussion: """
            loss = gamma · mean over labelled tokens of CE(softmax(z_base − beta · onehot(label)), p) + alpha · \
            L_retain, with z_base the base version's logits.

            The model learns what it would have said without its memory of the label, so the aim is a fixed \
            distribution and the training cannot run away. Use it with higher rates (1e-5 to 3e-4). Without --retain \
            it holds nothing; with it alpha is 1.
            """)

    @OptionGroup(title: "Job") var common: SubmitOptions

    @Option(
        help: ArgumentHelp(
            "How far the label's logit is lowered (default 10).", valueName: "number"),
        transform: Arguments.finite)
    var beta: Double?

    @OptionGroup(title: "Method") var method: GradientOptions
    @OptionGroup(title: "Global") var options: GlobalOptions

    var builder: SpecBuilder {
        method.builder(.undial, common) { parameters in
            if let beta { parameters.beta = beta }
        }
    }
}
