// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// What all gradient methods with two coefficients take: loss = gamma · forget term + alpha · retain term.
struct GradientOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Weight of the forget term (default 1; simnpo 0.125, satimp 0.1).", valueName: "weight"),
        transform: Arguments.finite)
    var gamma: Double?

    @Option(
        help: ArgumentHelp(
            "Weight of the retain term (default 1); 0 does without a retain set.", valueName: "weight"),
        transform: Arguments.finite)
    var alpha: Double?

    @OptionGroup(title: "Holding") var holding: HoldingOptions
    @OptionGroup(title: "Training") var training: TrainingOptions
    @OptionGroup(title: "Mask") var mask: MaskOptions
    @OptionGroup(title: "Attack") var attack: AttackOptions
    @OptionGroup(title: "Evaluation") var evaluation: EvaluationOptions

    /// A specification's maker for one method.
    func builder(
        _ kind: JobKind, _ common: SubmitOptions, _ apply: @escaping (inout JobParameters) -> Void = { _ in }
    ) -> SpecBuilder {
        SpecBuilder(kind: kind, common: common) { parameters in
            training.apply(to: &parameters)
            evaluation.apply(to: &parameters)
            holding.apply(to: &parameters)
            mask.apply(to: &parameters)
            attack.apply(to: &parameters)
            if let gamma { parameters.gamma = gamma }
            if let alpha { parameters.alpha = alpha }
            apply(&parameters)
        }
    }
}
