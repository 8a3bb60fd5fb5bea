// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `submit satimp`.
struct SubmitSatImp: SubmitCommand {
    static let configuration = CommandConfiguration(
        commandName: "satimp",
        abstract: "Unlearn by ascent weighted by saturation and importance (SatImp).",
        discussion: """
            loss = gamma · −mean over labelled tokens of p^beta · (1 − p)^beta-unknown · l + alpha · L_retain, with \
            l = −ln p and the weight held constant.

            Both tokens that are forgotten already and those the model is quite sure of (often grammar) count \
            little. Use it where wga harms the language. The defaults (5, 1, gamma 0.1) are the authors'.
            """)

    @OptionGroup(title: "Job") var common: SubmitOptions

    @Option(
        help: ArgumentHelp(
            "Exponent of the probability p (default 5).", valueName: "number"),
        transform: Arguments.finite)
    var beta: Double?

    @Option(
        name: .customLong("beta-unknown"),
        help: ArgumentHelp(
            "Exponent of 1 − p (default 1).", valueName: "number"),
        transform: Arguments.finite)
    var betaUnknown: Double?

    @OptionGroup(title: "Method") var method: GradientOptions
    @OptionGroup(title: "Global") var options: GlobalOptions

    var builder: SpecBuilder {
        method.builder(.satimp, common) { parameters in
            if let beta { parameters.beta = beta }
            if let betaUnknown { parameters.betaUnknown = betaUnknown }
        }
    }
}
