// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `submit wga`.
struct SubmitWga: SubmitCommand {
    static let configuration = CommandConfiguration(
        commandName: "wga",
        abstract: "Unlearn by weighted gradient ascent: tokens count as far as they are known.",
        discussion: """
            loss = gamma · −mean over labelled tokens of p^beta · l + alpha · L_retain, with l = −ln p and the \
            weight p^beta held constant.

            What the model does not know any more pushes no more, token by token. Use it like graddiff where ascent \
            breaks the model. Beta 0 would be graddiff.
            """)

    @OptionGroup(title: "Job") var common: SubmitOptions

    @Option(
        help: ArgumentHelp(
            "Exponent of the probability (default 1).", valueName: "number"),
        transform: Arguments.finite)
    var beta: Double?

    @OptionGroup(title: "Method") var method: GradientOptions
    @OptionGroup(title: "Global") var options: GlobalOptions

    var builder: SpecBuilder {
        method.builder(.wga, common) { parameters in
            if let beta { parameters.beta = beta }
        }
    }
}
