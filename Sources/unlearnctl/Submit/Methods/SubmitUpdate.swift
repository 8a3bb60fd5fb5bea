// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `submit update`.
struct SubmitUpdate: SubmitCommand {
    static let configuration = CommandConfiguration(
        commandName: "update",
        abstract: "Replace outdated facts: the old answer down, the new one up, the rest held.",
        discussion: """
            loss = gamma · [mean over rows of −(2/beta) · ln sigmoid(beta · (S(old) − S_base(old))) + \
            replacement-weight · L(new)] + alpha · L_retain, with S the summed and L the mean negative log-likelihood.

            Each row of the forget set holds the question, the old answer and its replacement. Use it when a fact \
            changed: the new answer is learned, not only preferred, and the old one is pushed down until it is no \
            longer known. Gate with replaced.

            --by edit does not train: for each row it looks for the shift of the residual stream that brings the new \
            answer about, at the last token of the row's subject (of its prompt where the row names none), and writes \
            it into the down projections of --layers in closed form (ROME, MEMIT): W += R · Kᵀ · (covariance-weight · \
            C + K · Kᵀ)⁻¹, with K what they read there, R the shift, and C = mean k · kᵀ over the retain set's \
            tokens. Use it for some single facts, when all else must keep its bits. The old answer is not trained \
            down; look at attacks. Of the options below it takes those of evaluation and attacks.
            """)

    @OptionGroup(title: "Job") var common: SubmitOptions

    @Option(
        help: ArgumentHelp(
            "How soon the old answer counts as forgotten (default 0.1).", valueName: "number"),
        transform: Arguments.finite)
    var beta: Double?

    @Option(
        name: .customLong("replacement-weight"),
        help: ArgumentHelp(
            "Weight of learning the new answer beside losing the old (default 1).", valueName: "weight"),
        transform: Arguments.finite)
    var replacementWeight: Double?

    @Option(
        help: ArgumentHelp(
            "By training, or by a closed-form edit of some layers (default gradient).",
            valueName: "gradient|edit"))
    var by: UpdateWay?

    @Option(
        help: ArgumentHelp(
            "With --by edit: the layers to edit, counted from 0 (default: some that end in the middle).",
            valueName: "a-b"),
        transform: Arguments.layers)
    var layers: LayerSelection?

    @Option(
        name: .customLong("edit-steps"),
        help: ArgumentHelp(
            "With --by edit: most steps of the search for a fact's shift (default 25).", valueName: "number"))
    var editSteps: Int?

    @Option(
        name: .customLong("edit-learning-rate"),
        help: ArgumentHelp("With --by edit: the search's learning rate (default 0.5).", valueName: "rate"),
        transform: Arguments.finite)
    var editLearningRate: Double?

    @Option(
        name: .customLong("covariance-weight"),
        help: ArgumentHelp(
            "With --by edit: how much the layers' other input is left alone (default 1).",
            valueName: "weight"),
        transform: Arguments.finite)
    var covarianceWeight: Double?

    @Option(
        name: .customLong("edit-clamp"),
        help: ArgumentHelp(
            "With --by edit: the longest shift, in lengths of the stream (default 4).", valueName: "factor"),
        transform: Arguments.finite)
    var editClamp: Double?

    @OptionGroup(title: "Method") var method: GradientOptions
    @OptionGroup(title: "Global") var options: GlobalOptions

    var builder: SpecBuilder {
        method.builder(.update, common) { parameters in
            if let beta { parameters.beta = beta }
            if let by { parameters.by = by }
            if let layers { parameters.layers = layers }
            if let editSteps { parameters.editSteps = editSteps }
            if let editLearningRate { parameters.editLearningRate = editLearningRate }
            if let covarianceWeight { parameters.covarianceWeight = covarianceWeight }
            if let editClamp { parameters.editClamp = editClamp }
            if let replacementWeight { parameters.replacementWeight = replacementWeight }
        }
    }
}
