// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// How text is read and measured.
struct EvaluationOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "What counts as right: each token, or rows with every token right.", valueName: "token|row"))
    var accuracy: AccuracyUnit?

    @Option(
        name: .customLong("batch-size"),
        help: ArgumentHelp("Rows of a set that are in memory together (default 4).", valueName: "rows"))
    var batchSize: Int?

    @Option(
        name: .customLong("max-length"),
        help: ArgumentHelp(
            "Longest row in tokens (default: 512 or the model's context, if that is less).",
            valueName: "tokens"))
    var maxLength: Int?

    @Flag(help: "Cut rows that are too long instead of refusing them.")
    var truncate = false

    @OptionGroup(title: "Evaluation") var layout: TemplateOptions

    /// Sets what was given.
    func apply(to parameters: inout JobParameters) {
        if let accuracy { parameters.accuracy = accuracy }
        if let batchSize { parameters.batchSize = batchSize }
        if let maxLength { parameters.maxLength = maxLength }
        if truncate { parameters.truncate = true }
        layout.apply(to: &parameters)
    }
}
