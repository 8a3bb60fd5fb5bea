// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `submit update`.
struct SubmitUpdate: SubmitCommand {
    static let configuration = CommandConfiguration(
        commandName: "update",
        abstract: "Replace outdated facts: the old answer down, the new one up, the rest held.",
        discussion: """
            loss = gamma · [mean over rows of −(2/beta) · ln sigmoid(beta · (S(old) − S_base(old))) + replacement- \
            weight · L(new)] + alpha · L_retain, with S the summed and L the mean negative log-likelihood.

            Each row of the forget set holds the question, the old answer and its replacement. Use it when a fact \
            changed: the new answer is learned, not only preferred, and the old one is pushed down until it is no \
            longer known. Gate with replaced.
            """)

    @OptionGroup(title: "Job") var common: SubmitOptions

    @Option(
        help: ArgumentHelp(
            "How soon the old answer counts as forgotten (default 0.1).", valueName: "number"),
        transform: Arguments.finite)
    var beta: Double?

    @Option(
        name: .customLong("replacement-weight"),
        help: ArgumentHelp(
            "Weight of learning the new answer beside losing the old (default 1).", valueName: "weight"),
        transform: Arguments.finite)
    var replacementWeight: Double?

    @OptionGroup(title: "Method") var method: GradientOptions
    @OptionGroup(title: "Global") var options: GlobalOptions

    var builder: SpecBuilder {
        method.builder(.update, common) { parameters in
            if let beta { parameters.beta = beta }
            if let replacementWeight { parameters.replacementWeight = replacementWeight }
        }
    }
}
