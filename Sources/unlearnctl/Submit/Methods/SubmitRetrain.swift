// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `submit retrain`.
struct SubmitRetrain: SubmitCommand {
    static let configuration = CommandConfiguration(
        commandName: "retrain",
        abstract: "Train the gold standard: on what is to be kept alone.",
        discussion: """
            loss = L of the retain set, the mean negative log-likelihood of the labelled tokens, from a version that has \
            not seen what is to be forgotten (--from MODEL@vN), or from fresh weights drawn by the seed (--fresh; their \
            form, configuration and tokenizer are those of --from, or of the model's head).

            The result is the next version of --model, which need not exist yet: a name of its own, such as \
            gold, makes a --reference for other methods. Use it where you have the data and the time; nothing forgets \
            better.
            """)

    @OptionGroup(title: "Job") var common: SubmitOptions

    @Option(
        help: ArgumentHelp("The version where training begins.", valueName: "model[@vN]"),
        completion: LiveCompletion.versions, transform: Arguments.version)
    var from: VersionReference?

    @Flag(help: "Begin with fresh weights, drawn by the seed.")
    var fresh = false

    @OptionGroup(title: "Training") var training: TrainingOptions
    @OptionGroup(title: "Evaluation") var evaluation: EvaluationOptions
    @OptionGroup(title: "Global") var options: GlobalOptions

    var builder: SpecBuilder {
        SpecBuilder(kind: .retrain, common: common) { parameters in
            training.apply(to: &parameters)
            evaluation.apply(to: &parameters)
            if let from { parameters.from = from }
            if fresh { parameters.fresh = true }
        }
    }
}
