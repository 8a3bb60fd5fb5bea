// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `submit simnpo`.
struct SubmitSimNpo: SubmitCommand {
    static let configuration = CommandConfiguration(
        commandName: "simnpo",
        abstract: "Unlearn by SimNPO: negative preference without a reference, by mean loss.",
        discussion: """
            loss = gamma · mean over rows of −(2/beta) · ln sigmoid(beta · (S/T − margin)) + alpha · L_retain, with \
            S/T a row's mean negative log-likelihood per labelled token.

            Rows count by how well they are known now and not by how far they are from the base, so what was hardly \
            known is left alone, and long answers do not weigh more than short ones. Use it where the base version's \
            own losses differ much from row to row. The defaults (beta 4.5, gamma 0.125) are OpenUnlearning's.
            """)

    @OptionGroup(title: "Job") var common: SubmitOptions

    @Option(
        help: ArgumentHelp(
            "How sharply a row counts as forgotten (default 4.5).", valueName: "number"),
        transform: Arguments.finite)
    var beta: Double?

    @Option(
        help: ArgumentHelp(
            "Mean loss from which a row counts as forgotten, nats per token (default 0).", valueName: "loss"),
        transform: Arguments.finite)
    var margin: Double?

    @OptionGroup(title: "Method") var method: GradientOptions
    @OptionGroup(title: "Global") var options: GlobalOptions

    var builder: SpecBuilder {
        method.builder(.simnpo, common) { parameters in
            if let beta { parameters.beta = beta }
            if let margin { parameters.margin = margin }
        }
    }
}
