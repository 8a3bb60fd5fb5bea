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
    case probability
    case rouge1 = "rouge_1"
    case rougeL = "rouge_l"
    /// ROUGE-L's F-measure, without stems.
    case rougeLF = "rouge_l_f"
    /// Tokens.
    case verbatimRun = "verbatim_run"
    case nearVerbatim = "near_verbatim"
    /// Share of rows whose replacement is more probable than the old answer.
    case replaced
    // Areas of the other attacks of membership inference.
    case zlibAUC = "zlib_auc"
    case minKAUC = "min_k_auc"
    case minKPlusAUC = "min_k_plus_auc"
    case referenceAUC = "reference_auc"
    case gradientNormAUC = "gradient_norm_auc"
    /// The share of forget rows that the loss finds at 1 % false positives.
    case truePositiveRate = "tpr_at_1_fpr"
    /// The same for an attacker who looks for rows that are less known than others.
    case reversedRate = "tpr_at_1_fpr_reversed"
    case privleak
    /// Of the retain set.
    case perplexity
    // Made by attacks.
    case leakAtK = "leak_at_k"
    case relearnGap = "relearn_gap"
    case quantizeGap = "quantize_gap"
    case probeGap = "probe_gap"

    /// What it is measured on.
    package var data: Set<GateData> {
        switch self {
        case .forget, .forgetLoss, .truthRatio, .extractionStrength, .exactMemorization, .probability,
            .rouge1, .rougeL, .rougeLF, .verbatimRun, .nearVerbatim, .replaced:
            [.forget]
        case .retain, .retainLoss, .utility, .perplexity: [.retain]
        case .auc, .zlibAUC, .minKAUC, .minKPlusAUC, .gradientNormAUC, .truePositiveRate, .reversedRate:
            [.forget, .holdout]
        case .holdoutLoss: [.holdout]
        case .ksP: [.forget, .reference]
        case .privleak, .referenceAUC: [.forget, .holdout, .reference]
        case .modelUtility: [.utility]
        case .leakAtK: [.forget, .prompt]
        case .relearnGap: [.forget, .reference, .relearn]
        case .quantizeGap: [.forget, .quantize]
        case .probeGap: [.forget, .probe]
        }
    }

    /// What must be measured for it beside what always is.
    package var metrics: Set<EvaluationMetric> {
        switch self {
        case .ksP, .truthRatio: [.truthRatio]
        case .modelUtility: [.truthRatio, .rouge]
        case .rouge1, .rougeL, .rougeLF: [.rouge]
        case .verbatimRun, .nearVerbatim: [.verbatim]
        case .replaced: [.replaced]
        case .zlibAUC: [.zlib]
        case .minKAUC, .privleak: [.minK]
        case .minKPlusAUC: [.minKPlus]
        case .referenceAUC: [.reference]
        case .gradientNormAUC: [.gradientNorm]
        case .forget, .retain, .auc, .utility, .forgetLoss, .retainLoss, .holdoutLoss, .extractionStrength,
            .exactMemorization, .probability, .truePositiveRate, .reversedRate, .perplexity, .leakAtK,
            .relearnGap, .quantizeGap, .probeGap:
            []
        }
    }

    /// Whether a distance from the reference has a meaning: not for figures that are comparisons themselves.
    package var hasReference: Bool {
        switch self {
        case .ksP, .referenceAUC, .leakAtK, .relearnGap, .quantizeGap, .probeGap: false
        default: true
        }
    }

    /// The name of the figure in ``EvaluationFigures``, by which reasons are kept.
    var reasonKey: String {
        switch self {
        case .forget: "forget_accuracy"
        case .retain, .utility: "retain_accuracy"
        case .auc, .truePositiveRate, .reversedRate: "membership_inference_auc"
        case .perplexity: "retain_loss"
        case .truthRatio, .extractionStrength, .exactMemorization, .probability, .rouge1, .rougeL, .rougeLF,
            .verbatimRun, .nearVerbatim, .replaced:
            "forget.\(rawValue)"
        case .forgetLoss, .retainLoss, .holdoutLoss, .ksP, .modelUtility, .zlibAUC, .minKAUC, .minKPlusAUC,
            .referenceAUC, .gradientNormAUC, .privleak, .leakAtK, .relearnGap, .quantizeGap, .probeGap:
            rawValue
        }
    }

    /// Why it is not there, where nothing else was noted.
    var absence: String {
        switch self {
        case .truthRatio, .ksP: "no row of the forget set has wrong answers (perturbed_answer)"
        case .replaced: "no row of the forget set has a replacement"
        case .rouge1, .rougeL, .rougeLF, .verbatimRun, .nearVerbatim:
            "no row of the forget set can be continued"
        default: "no reason was recorded"
        }
    }

    /// The values that a bound can have.
    package var bounds: ClosedRange<Double> {
        switch self {
        case .forget, .retain, .auc, .ksP, .modelUtility, .truthRatio, .extractionStrength,
            .exactMemorization, .probability, .rouge1, .rougeL, .rougeLF, .nearVerbatim, .replaced, .zlibAUC,
            .minKAUC, .minKPlusAUC, .referenceAUC, .gradientNormAUC, .truePositiveRate, .reversedRate,
            .leakAtK:
            0...1
        case .utility, .forgetLoss, .retainLoss, .holdoutLoss, .verbatimRun, .perplexity:
            0...Double.greatestFiniteMagnitude
        case .privleak: -100...Double.greatestFiniteMagnitude
        case .relearnGap, .quantizeGap, .probeGap: -1...1
        }
    }

    /// The value in `figures`; `before` is what utility is measured against.
    func value(in figures: EvaluationFigures, before: EvaluationFigures?) -> Double? {
        let forget = figures.sets["forget"]
        func membership(_ attack: MembershipAttack) -> MembershipFigures? {
            figures.membership[attack.rawValue]
        }
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
            case .probability: forget?[.probability]
            case .rouge1: forget?[.rouge1]
            case .rougeL: forget?[.rougeL]
            case .rougeLF: forget?[.rougeLF]
            case .verbatimRun: forget?[.verbatimRun]
            case .nearVerbatim: forget?[.nearVerbatim]
            case .replaced: forget?[.replaced]
            case .zlibAUC: membership(.zlib)?.auc
            case .minKAUC: membership(.minK)?.auc
            case .minKPlusAUC: membership(.minKPlus)?.auc
            case .referenceAUC: membership(.reference)?.auc
            case .gradientNormAUC: membership(.gradientNorm)?.auc
            case .truePositiveRate: membership(.loss)?.truePositiveRate
            case .reversedRate: membership(.loss)?.reversedRate
            case .privleak: figures.privleak
            case .perplexity: figures.sets["retain"]?[.perplexity]
            case .leakAtK, .relearnGap, .quantizeGap, .probeGap: figures.attacks[rawValue]
            }
        return value.finite
    }

    /// Rounded, so that 0.72 of 0.8 is 0.9, which the binary quotient is not.
    private static func share(_ after: Double?, of before: Double?) -> Double? {
        guard let after, let before, before > 0 else { return nil }
        return (after / before * 1e12).rounded() / 1e12
    }
}
