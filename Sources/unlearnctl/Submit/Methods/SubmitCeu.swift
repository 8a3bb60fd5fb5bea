// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `submit ceu`.
struct SubmitCeu: SubmitCommand {
    static let configuration = CommandConfiguration(
        commandName: "ceu",
        abstract: "Unlearn by cross-entropy to the own distribution without the label (CE-U).",
        discussion: """
            loss = gamma · mean over labelled tokens of CE(q, p) + alpha · L_retain, with q = softmax(z) with the \
            label's logit at −infinity, held constant. Its gradient is p(label) · (onehot(label) − q): it vanishes \
            as the label is forgotten.

            Use it for a bounded method that keeps the order of everything else. The first tokens of each answer are \
            left out. Without --retain it holds nothing; with it alpha is 1.
            """)

    @OptionGroup(title: "Job") var common: SubmitOptions

    @Option(
        help: ArgumentHelp(
            "Labelled tokens of each row that do not count, from its first (default 1).", valueName: "number")
    )
    var skip: Int?

    @OptionGroup(title: "Method") var method: GradientOptions
    @OptionGroup(title: "Global") var options: GlobalOptions

    var builder: SpecBuilder {
        method.builder(.ceu, common) { parameters in
            if let skip { parameters.skip = skip }
        }
    }
}
