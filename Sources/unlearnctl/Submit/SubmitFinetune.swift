// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `submit finetune`.
struct SubmitFinetune: SubmitCommand {
    static let configuration = CommandConfiguration(
        commandName: "finetune", abstract: "Train a model on; the result becomes its next version.",
        discussion: """
            loss = L of the data, the mean negative log-likelihood of the labelled tokens, minimised with AdamW.

            Use it to make the fine-tuned side of a task vector, a reference that never saw the forgotten data, or a \
            model from scratch (unlearnctl model create). With --forget or --holdout beside --data the versions are \
            measured before and after; with --forget alone, that set is what it learns.
            """)

    @OptionGroup(title: "Job") var common: SubmitOptions

    @Option(help: ArgumentHelp("The data to learn; --retain names the same.", valueName: "file"))
    var data: String?

    @OptionGroup(title: "Training") var training: TrainingOptions
    @OptionGroup(title: "Evaluation") var evaluation: EvaluationOptions
    @OptionGroup(title: "Global") var options: GlobalOptions

    var builder: SpecBuilder {
        SpecBuilder(kind: .finetune, common: common, data: data) { parameters in
            training.apply(to: &parameters)
            evaluation.apply(to: &parameters)
        }
    }
}
