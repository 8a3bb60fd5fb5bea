// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `submit dpo`.
struct SubmitDpo: SubmitCommand {
    static let configuration = CommandConfiguration(
        commandName: "dpo",
        abstract: "Unlearn by preferring each row's replacement to its answer.",
        discussion: """
            loss = gamma · mean over rows of −(2/beta) · ln sigmoid(beta · [(S_base(new) − S(new)) − (S_base(old) − \
            S(old))]) + alpha · L_retain, with S the summed negative log-likelihood of the replacement (new) and of \
            the answer (old).

            Every row of the forget set needs the member replacement. Use it when you know what is to be said \
            instead; use idk for refusals, and update where the new answer must be learned and not only preferred.
            """)

    @OptionGroup(title: "Job") var common: SubmitOptions

    @Option(
        help: ArgumentHelp(
            "Sharpness of the preference (default 0.1).", valueName: "number"),
        transform: Arguments.finite)
    var beta: Double?

    @OptionGroup(title: "Method") var method: GradientOptions
    @OptionGroup(title: "Global") var options: GlobalOptions

    var builder: SpecBuilder {
        method.builder(.dpo, common) { parameters in
            if let beta { parameters.beta = beta }
        }
    }
}
