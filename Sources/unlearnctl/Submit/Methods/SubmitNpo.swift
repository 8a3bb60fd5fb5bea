// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `submit npo`.
struct SubmitNpo: SubmitCommand {
    static let configuration = CommandConfiguration(
        commandName: "npo",
        abstract: "Unlearn by negative preference optimisation: ascent that ends by itself.",
        discussion: """
            loss = gamma · mean over rows of −(2/beta) · ln sigmoid(beta · (S − S_base)) + alpha · L_retain, with S \
            a row's summed negative log-likelihood and S_base that of the base version, taken once before the first \
            step.

            At the base it is gradient ascent; the more a row has been forgotten, the less it still pushes (at rate \
            beta). Use it first: it is the most reliable of the simple methods. A smaller beta forgets further. Good \
            numbers for small models are rates of 2e-5 to 5e-5 and alpha 1 to 5.
            """)

    @OptionGroup(title: "Job") var common: SubmitOptions

    @Option(
        help: ArgumentHelp(
            "How soon a row counts as forgotten (default 0.1).", valueName: "number"),
        transform: Arguments.finite)
    var beta: Double?

    @OptionGroup(title: "Method") var method: GradientOptions
    @OptionGroup(title: "Global") var options: GlobalOptions

    var builder: SpecBuilder {
        method.builder(.npo, common) { parameters in
            if let beta { parameters.beta = beta }
        }
    }
}
