// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `submit altpo`.
struct SubmitAltPo: SubmitCommand {
    static let configuration = CommandConfiguration(
        commandName: "altpo",
        abstract: "Unlearn by preferring other answers that the model gives itself (AltPO).",
        discussion: """
            loss = gamma · mean over rows of −(2/beta) · ln sigmoid(beta · [(S_base(other) − S(other)) − (S_base(answer) − \
            S(answer))]) + alpha · L_retain, with S a row's summed negative log-likelihood.

            The other answers are drawn from the base version at temperature 1, or are the rows' own replacement. They \
            are of the same kind as the forgotten ones, so the model stays fluent and says something plausible and wrong. \
            Use it where refusals would tell what was forgotten. It is among the best of the published methods.
            """)

    @OptionGroup(title: "Job") var common: SubmitOptions

    @Option(
        help: ArgumentHelp(
            "Answers drawn for each row, one an epoch in turn (default 5).", valueName: "number"))
    var alternates: Int?

    @Option(
        name: .customLong("max-new-tokens"),
        help: ArgumentHelp("Longest answer that is drawn (default 200).", valueName: "tokens"))
    var maxNewTokens: Int?

    @Option(
        help: ArgumentHelp("Sharpness of the preference (default 0.1).", valueName: "number"),
        transform: Arguments.finite)
    var beta: Double?

    @OptionGroup(title: "Method") var method: GradientOptions
    @OptionGroup(title: "Global") var options: GlobalOptions

    var builder: SpecBuilder {
        method.builder(.altpo, common) { parameters in
            if let alternates { parameters.alternates = alternates }
            if let maxNewTokens { parameters.maxNewTokens = maxNewTokens }
            if let beta { parameters.beta = beta }
        }
    }
}
