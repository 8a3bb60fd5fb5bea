// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `submit evaluate`.
struct SubmitEvaluate: SubmitCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate", abstract: "Measure a version; nothing is changed.",
        discussion: """
            Accuracy and loss on each set that is given; membership inference AUC = P(loss of a forget row < loss of a \
            holdout row) + ½ · ties, where 0.5 tells nothing apart; the labels forget quality (forget < 0.1 and retain > \
            0.9: excellent, < 0.3 and > 0.8: good) and privacy leakage (|AUC − 0.5| < 0.05: minimal, < 0.15: moderate).

            --metrics adds truth ratio and forget quality (rows with perturbed_answer), old against new answers (rows \
            with replacement), further membership attacks, ROUGE and verbatim runs of what the model says. --utility \
            names further sets, such as general knowledge. --preset tofu or muse runs those benchmarks from their own \
            files: --preset tofu --preset-data DIRECTORY --split forget10 --reference MODEL. docs/methods.md has every \
            formula.

            Use it to see what a model knows before anything is decided, or to measure another reference.
            """)

    @OptionGroup(title: "Job") var common: SubmitOptions
    @OptionGroup(title: "Evaluation") var evaluation: EvaluationOptions
    @Option(
        help: ArgumentHelp(
            "What trains and measures: the processor, or a card of NVIDIA's in bf16 (default cpu).",
            valueName: "cpu|cuda"))
    var device: ComputeDevice?

    @OptionGroup(title: "Global") var options: GlobalOptions

    var builder: SpecBuilder {
        SpecBuilder(kind: .evaluate, common: common) {
            evaluation.apply(to: &$0)
            if let device { $0.device = device }
        }
    }
}
