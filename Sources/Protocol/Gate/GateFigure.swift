// SPDX-License-Identifier: Apache-2.0

/// A figure that a gate can bound.
package enum GateFigure: String, Hashable, Sendable, CaseIterable {
    /// Accuracy on the forget set; with a label, forget quality.
    case forget
    /// Accuracy on the retain set.
    case retain
    /// Membership inference AUC by loss.
    case auc
    /// What the job left of model utility where that is measured, else of retain accuracy: after / before.
    case utility
    case forgetLoss = "forget_loss"
    case retainLoss = "retain_loss"
    case holdoutLoss = "holdout_loss"
    /// p of the test against the reference: TOFU's forget quality.
    case ksP = "ks_p"
    case modelUtility = "model_utility"
    /// Of the forget set, as all that follow but ``perplexity``.
    case truthRatio = "truth_ratio"
    case extractionStrength = "extraction_strength"
    case exactMemorization = "exact_memorization"
    case rougeL = "rouge_l"
    /// Tokens.
    case verbatimRun = "verbatim_run"
    case nearVerbatim = "near_verbatim"
    /// Share of rows whose replacement is more probable than the old answer.
    case replaced
    case minKAUC = "min_k_auc"
    case privleak
    /// Of the retain set.
    case perplexity
    // Made by attacks.
    case leakAtK = "leak_at_k"
    case relearnGap = "relearn_gap"
    case quantizeGap = "quantize_gap"

    /// What it is measured on.
    package var data: Set<GateData> {
        switch self {
        case .forget, .forgetLoss, .truthRatio, .extractionStrength, .exactMemorization, .rougeL,
            .verbatimRun, .nearVerbatim, .replaced:
            [.forget]
        case .retain, .retainLoss, .utility, .perplexity: [.retain]
        case .auc, .minKAUC: [.forget, .holdout]
        case .holdoutLoss: [.holdout]
        case .ksP: [.forget, .reference]
        case .privleak: [.forget, .holdout, .reference]
        case .modelUtility: [.utility]
        case .leakAtK: [.forget, .prompt]
        case .relearnGap: [.forget, .reference, .relearn]
        case .quantizeGap: [.forget, .quantize]
        }
    }

    /// What must be measured for it beside what always is.
    package var metrics: Set<EvaluationMetric> {
        switch self {
        case .ksP, .truthRatio: [.truthRatio]
        case .modelUtility: [.truthRatio, .rouge]
        case .rougeL: [.rouge]
        case .verbatimRun, .nearVerbatim: [.verbatim]
        case .replaced: [.replaced]
        case .minKAUC, .privleak: [.minK]
        case .forget, .retain, .auc, .utility, .forgetLoss, .retainLoss, .holdoutLoss, .extractionStrength,
            .exactMemorization, .perplexity, .leakAtK, .relearnGap, .quantizeGap:
            []
        }
    }

    /// Whether a distance from the reference has a meaning: not for figures that are comparisons themselves.
    package var hasReference: Bool {
        switch self {
        case .ksP, .leakAtK, .relearnGap, .quantizeGap: false
        default: true
        }
    }

    /// The name of the figure in ``EvaluationFigures``, by which reasons are kept.
    var reasonKey: String {
        switch self {
        case .forget: "forget_accuracy"
        case .retain, .utility: "retain_accuracy"
        case .auc: "membership_inference_auc"
        case .perplexity: "retain_loss"
        case .truthRatio, .extractionStrength, .exactMemorization, .rougeL, .verbatimRun, .nearVerbatim,
            .replaced:
            "forget.\(rawValue)"
        case .forgetLoss, .retainLoss, .holdoutLoss, .ksP, .modelUtility, .minKAUC, .privleak, .leakAtK,
            .relearnGap, .quantizeGap:
            rawValue
        }
    }

    /// Why it is not there, where nothing else was noted.
    var absence: String {
        switch self {
        case .truthRatio, .ksP: "no row of the forget set has wrong answers (perturbed_answer)"
        case .replaced: "no row of the forget set has a replacement"
        case .rougeL, .verbatimRun, .nearVerbatim: "no row of the forget set can be continued"
        default: "no reason was recorded"
        }
    }

    /// The values that a bound can have.
    package var bounds: ClosedRange<Double> {
        switch self {
        case .forget, .retain, .auc, .ksP, .modelUtility, .truthRatio, .extractionStrength,
            .exactMemorization, .rougeL, .nearVerbatim, .replaced, .minKAUC, .leakAtK:
            0...1
        case .utility, .forgetLoss, .retainLoss, .holdoutLoss, .verbatimRun, .perplexity:
            0...Double.greatestFiniteMagnitude
        case .privleak: -100...Double.greatestFiniteMagnitude
        case .relearnGap, .quantizeGap: -1...1
        }
    }

    /// The value in `figures`; `before` is what utility is measured against.
    func value(in figures: EvaluationFigures, before: EvaluationFigures?) -> Double? {
        let forget = figures.sets["forget"]
        let value: Double? =
            switch self {
            case .forget: figures.forgetAccuracy
            case .retain: figures.retainAccuracy
            case .auc: figures.membershipInferenceAUC
            case .forgetLoss: figures.forgetLoss
            case .retainLoss: figures.retainLoss
            case .holdoutLoss: figures.holdoutLoss
            case .utility:
                Self.share(figures.modelUtility, of: before?.modelUtility)
                    ?? Self.share(figures.retainAccuracy, of: before?.retainAccuracy)
            case .ksP: figures.ksP
            case .modelUtility: figures.modelUtility
            case .truthRatio: forget?[.truthRatio]
            case .extractionStrength: forget?[.extractionStrength]
            case .exactMemorization: forget?[.exactMemorization]
            case .rougeL: forget?[.rougeL]
            case .verbatimRun: forget?[.verbatimRun]
            case .nearVerbatim: forget?[.nearVerbatim]
            case .replaced: forget?[.replaced]
            case .minKAUC: figures.membership[MembershipAttack.minK.rawValue]?.auc
            case .privleak: figures.privleak
            case .perplexity: figures.sets["retain"]?[.perplexity]
            case .leakAtK, .relearnGap, .quantizeGap: figures.attacks[rawValue]
            }
        return value.finite
    }

    /// Rounded, so that 0.72 of 0.8 is 0.9, which the binary quotient is not.
    private static func share(_ after: Double?, of before: Double?) -> Double? {
        guard let after, let before, before > 0 else { return nil }
        return (after / before * 1e12).rounded() / 1e12
    }
}
