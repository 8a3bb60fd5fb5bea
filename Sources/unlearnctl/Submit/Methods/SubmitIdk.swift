// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `submit idk`.
struct SubmitIdk: SubmitCommand {
    static let configuration = CommandConfiguration(
        commandName: "idk",
        abstract: "Unlearn by teaching refusals in place of the answers.",
        discussion: """
            Form nll: loss = gamma · L(refusal) + alpha · L_retain. Form dpo: loss = gamma · mean over rows of −(2/beta) · ln \
            sigmoid(beta · [(S_base(refusal) − S(refusal)) − (S_base(answer) − S(answer))]) + alpha · L_retain. L is a mean and \
            S a row's sum of negative log-likelihoods.

            A row's own replacement is its refusal; other rows get one of --refusals, another one each epoch, drawn by the \
            seed. Use it when the model shall say that it does not know. nll only covers the answer: expect attacks to \
            find it again. dpo pushes it down as well.
            """)

    @OptionGroup(title: "Job") var common: SubmitOptions

    @Option(
        help: ArgumentHelp(
            "Learn the refusal (nll), or prefer it to the answer (dpo); default nll.", valueName: "nll|dpo"))
    var form: AnswerForm?

    @Option(
        help: ArgumentHelp("Refusals, one a line (default: a list that comes with this).", valueName: "file"))
    var refusals: String?

    @Option(
        help: ArgumentHelp("Sharpness of the preference, of form dpo (default 0.1).", valueName: "number"),
        transform: Arguments.finite)
    var beta: Double?

    @OptionGroup(title: "Method") var method: GradientOptions
    @OptionGroup(title: "Global") var options: GlobalOptions

    var builder: SpecBuilder {
        var builder = method.builder(.idk, common) { parameters in
            if let form { parameters.form = form }
            if let beta { parameters.beta = beta }
        }
        builder.refusals = refusals
        return builder
    }
}
