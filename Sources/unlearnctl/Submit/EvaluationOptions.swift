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

    @Option(
        help: ArgumentHelp(
            "Arithmetic of matrix products: f32, or bf16 operands with f32 sums where the processor has them (default f32).",
            valueName: "f32|bf16"))
    var precision: Precision?

    @Flag(
        help: "Tell where the time goes: shares of matrix products, attention, norms, loss, optimiser, input."
    )
    var profile = false

    @Option(
        help: ArgumentHelp(
            "What is measured beside accuracy, loss and membership by loss: all, fast (default), or names: "
                + EvaluationMetric.allCases.map(\.rawValue).joined(separator: ", ") + ".",
            valueName: "list"), transform: Arguments.metrics)
    var metrics: Set<EvaluationMetric>?

    @Option(
        name: .customLong("max-new-tokens"),
        help: ArgumentHelp(
            "Most tokens of each continuation, for rouge and verbatim (default 200).", valueName: "tokens"))
    var maxNewTokens: Int?

    @OptionGroup(title: "Evaluation") var layout: TemplateOptions

    @OptionGroup(title: "Placement") var placement: PlacementOptions

    /// Sets what was given.
    func apply(to parameters: inout JobParameters) {
        if let accuracy { parameters.accuracy = accuracy }
        if let batchSize { parameters.batchSize = batchSize }
        if let maxLength { parameters.maxLength = maxLength }
        if let metrics { parameters.metrics = EvaluationMetric.allCases.filter(metrics.contains) }
        if let maxNewTokens { parameters.maxNewTokens = maxNewTokens }
        if truncate { parameters.truncate = true }
        layout.apply(to: &parameters)
        placement.apply(to: &parameters)
        if let precision { parameters.precision = precision }
        if profile { parameters.profile = true }
    }
}
