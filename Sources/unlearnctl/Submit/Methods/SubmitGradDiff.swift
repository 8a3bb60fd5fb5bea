// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `submit graddiff`.
struct SubmitGradDiff: SubmitCommand {
    static let configuration = CommandConfiguration(
        commandName: "graddiff",
        abstract: "Unlearn by gradient difference: ascent on the forget set, descent on the retain set.",
        discussion: """
            loss = gamma · (−L_forget) + alpha · L_retain, with L the mean negative log-likelihood of the labelled \
            tokens. It is ascent with two independent weights, as the literature has it: gamma 1 and alpha 1 here \
            are alpha 0.5 of ascent at twice the loss.

            Use it as the simple baseline, with few epochs and --max-forget-loss: nothing in the loss ends the \
            ascent. npo and simnpo forget with a bound.
            """)

    @OptionGroup(title: "Job") var common: SubmitOptions
    @OptionGroup(title: "Method") var method: GradientOptions
    @OptionGroup(title: "Global") var options: GlobalOptions

    var builder: SpecBuilder {
        method.builder(.graddiff, common)
    }
}
