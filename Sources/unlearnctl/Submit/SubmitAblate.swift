// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `submit ablate`.
struct SubmitAblate: SubmitCommand {
    static let configuration = CommandConfiguration(
        commandName: "ablate",
        abstract: "Unlearn by switching off the neurons and attention heads that carry what is forgotten.",
        discussion: """
            Localized knowledge ablation: every feed-forward neuron and attention head gets a score,

              score = |A|(forget) − retain-weight · |A|(retain),   A = Σ a · ∂o/∂a per labelled token,

            with a the unit's activation, o = ln p/(1 − p) the log-odds of the labels, and |A| summed over the rows \
            without their signs; those of the highest score are switched off by their output weights alone: columns of \
            the down projection and of the attention's output projection. Without a retain set the score is A(forget). Every other parameter keeps its bits. The result names the units, their scores and the share \
            of parameters that was touched.

            Use it for a small, sharp set of rows, when the edit must be tiny, explainable and reversible, or when \
            there is no time to train. --target-drop looks for as few units as lower the forget accuracy by that much. \
            Knowledge that is spread over the network cannot be cut out of it: look at the gate, and at attacks.
            """)

    @OptionGroup(title: "Job") var common: SubmitOptions
    @OptionGroup(title: "Attack") var attackOptions: AttackOptions
    @OptionGroup(title: "Evaluation") var evaluation: EvaluationOptions

    @Option(
        help: ArgumentHelp("What may be switched off (default both).", valueName: "neurons|heads|both"))
    var units: AblationUnits?

    @Option(
        help: ArgumentHelp(
            "Activation × gradient, or integrated gradients: slower, better for units that are saturated (default gradient).",
            valueName: "gradient|integrated"))
    var attribution: AttributionMethod?

    @Option(
        name: .customLong("attribution-steps"),
        help: ArgumentHelp("Points of the path of integrated gradients (default 20).", valueName: "number"))
    var attributionSteps: Int?

    @Option(
        name: .customLong("attribution-rows"),
        help: ArgumentHelp(
            "Most rows of each set that are looked at, spread evenly (default 512).", valueName: "rows"))
    var attributionRows: Int?

    @Option(
        name: .customLong("retain-weight"),
        help: ArgumentHelp(
            "Weight of what a unit does on the retain set against its score (default 1).", valueName: "weight"
        ), transform: Arguments.finite)
    var retainWeight: Double?

    @Option(
        help: ArgumentHelp("The share of all units to switch off (default 0.01).", valueName: "share"),
        transform: Arguments.finite)
    var fraction: Double?

    @Option(help: ArgumentHelp("How many units to switch off.", valueName: "number"))
    var count: Int?

    @Option(
        name: .customLong("target-drop"),
        help: ArgumentHelp(
            "As few units as lower the forget accuracy by this much, such as 0.5.", valueName: "drop"),
        transform: Arguments.finite)
    var targetDrop: Double?

    @Option(
        help: ArgumentHelp(
            "What becomes of the output weights: zero; dampen, times --factor; mean: zero, and the bias takes up what the unit contributed on the mean (default zero).",
            valueName: "zero|dampen|mean"))
    var mode: AblationMode?

    @Option(
        help: ArgumentHelp("What dampen multiplies by (default 0.1).", valueName: "factor"),
        transform: Arguments.finite)
    var factor: Double?

    @OptionGroup(title: "Global") var options: GlobalOptions

    var builder: SpecBuilder {
        SpecBuilder(kind: .ablate, common: common) { parameters in
            evaluation.apply(to: &parameters)
            attackOptions.apply(to: &parameters)
            if let units { parameters.units = units }
            if let attribution { parameters.attribution = attribution }
            if let attributionSteps { parameters.attributionSteps = attributionSteps }
            if let attributionRows { parameters.attributionRows = attributionRows }
            if let retainWeight { parameters.retainWeight = retainWeight }
            if let fraction { parameters.fraction = fraction }
            if let count { parameters.count = count }
            if let targetDrop { parameters.targetDrop = targetDrop }
            if let mode { parameters.mode = mode }
            if let factor { parameters.factor = factor }
        }
    }
}
