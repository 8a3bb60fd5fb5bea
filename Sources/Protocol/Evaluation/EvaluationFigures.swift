// SPDX-License-Identifier: Apache-2.0

/// What one version scored: forget quality, retain quality and leakage side by side.
///
/// A figure that could not be measured is `null`, and ``reasons`` says why.
package struct EvaluationFigures: Codable, Hashable, Sendable {
    /// Share of right predictions on the forget set, 0 to 1.
    package var forgetAccuracy: Double?
    /// Share of right predictions on the retain set.
    package var retainAccuracy: Double?
    /// Share of right predictions on the holdout set.
    package var holdoutAccuracy: Double?
    /// P(loss of a forget row < loss of a holdout row) + ½·ties; 0.5 is indistinguishable.
    package var membershipInferenceAUC: Double?
    /// `excellent`, `good` or `insufficient`.
    package var forgetQuality: ForgetQuality?
    /// `minimal`, `moderate` or `significant`.
    package var privacyLeakage: PrivacyLeakage?
    /// What the accuracies count.
    package var accuracy: AccuracyUnit
    /// Mean negative log-likelihood per labelled token of the forget set, nats.
    package var forgetLoss: Double?
    /// The same for the retain set.
    package var retainLoss: Double?
    /// The same for the holdout set.
    package var holdoutLoss: Double?
    /// The figures of each set, by its name.
    package var sets: [String: SetFigures] = [:]
    /// What each attack of membership inference makes of forget and holdout rows, by ``MembershipAttack``.
    package var membership: [String: MembershipFigures] = [:]
    /// The exact p of the two-sample Kolmogorov-Smirnov test against the reference, on what ``ksBasis`` names: TOFU's
    /// forget quality where that is the truth ratio.
    package var ksP: Double?
    /// The largest distance between both distributions.
    package var ksStatistic: Double?
    /// `truth_ratio`, or `loss` where rows have no wrong answers to compare with.
    package var ksBasis: String?
    /// The harmonic mean of probability, ROUGE-L recall and truth ratio of every set that is to be kept.
    package var modelUtility: Double?
    /// MUSE's privacy leakage against the reference: 0 is like retrained, −100 leaks fully, above 0 is over-unlearned.
    package var privleak: Double?
    /// What attacks brought back, by the gate's names for it: `relearn_gap`, `quantize_gap`,
    /// `probe_gap`, `leak_at_k`.
    package var attacks: [String: Double] = [:]
    /// Labelled tokens that were predicted, by set.
    package var tokens: [String: Int]
    /// Rows, by set.
    package var rows: [String: Int]
    /// Why a figure is `null`, by its name.
    package var reasons: [String: String]

    /// No figures yet.
    package init(accuracy: AccuracyUnit) {
        self.accuracy = accuracy
        tokens = [:]
        rows = [:]
        reasons = [:]
    }

    enum CodingKeys: String, CodingKey {
        case forgetAccuracy = "forget_accuracy"
        case retainAccuracy = "retain_accuracy"
        case holdoutAccuracy = "holdout_accuracy"
        case membershipInferenceAUC = "membership_inference_auc"
        case forgetQuality = "forget_quality"
        case privacyLeakage = "privacy_leakage"
        case accuracy
        case forgetLoss = "forget_loss"
        case retainLoss = "retain_loss"
        case holdoutLoss = "holdout_loss"
        case sets, membership, privleak, attacks
        case ksP = "ks_p"
        case ksStatistic = "ks_statistic"
        case ksBasis = "ks_basis"
        case modelUtility = "model_utility"
        case tokens, rows, reasons
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        forgetAccuracy = try container.decodeIfPresent(Double.self, forKey: .forgetAccuracy)
        retainAccuracy = try container.decodeIfPresent(Double.self, forKey: .retainAccuracy)
        holdoutAccuracy = try container.decodeIfPresent(Double.self, forKey: .holdoutAccuracy)
        membershipInferenceAUC = try container.decodeIfPresent(
            Double.self, forKey: .membershipInferenceAUC)
        forgetQuality = try container.decodeIfPresent(ForgetQuality.self, forKey: .forgetQuality)
        privacyLeakage = try container.decodeIfPresent(PrivacyLeakage.self, forKey: .privacyLeakage)
        accuracy = try container.decode(AccuracyUnit.self, forKey: .accuracy)
        forgetLoss = try container.decodeIfPresent(Double.self, forKey: .forgetLoss)
        retainLoss = try container.decodeIfPresent(Double.self, forKey: .retainLoss)
        holdoutLoss = try container.decodeIfPresent(Double.self, forKey: .holdoutLoss)
        // Jobs that were measured before there were such figures have none of the following.
        sets = try container.decodeIfPresent([String: SetFigures].self, forKey: .sets) ?? [:]
        membership =
            try container.decodeIfPresent([String: MembershipFigures].self, forKey: .membership) ?? [:]
        ksP = try container.decodeIfPresent(Double.self, forKey: .ksP)
        ksStatistic = try container.decodeIfPresent(Double.self, forKey: .ksStatistic)
        ksBasis = try container.decodeIfPresent(String.self, forKey: .ksBasis)
        modelUtility = try container.decodeIfPresent(Double.self, forKey: .modelUtility)
        privleak = try container.decodeIfPresent(Double.self, forKey: .privleak)
        attacks = try container.decodeIfPresent([String: Double].self, forKey: .attacks) ?? [:]
        tokens = try container.decode([String: Int].self, forKey: .tokens)
        rows = try container.decode([String: Int].self, forKey: .rows)
        reasons = try container.decode([String: String].self, forKey: .reasons)
    }

    package func encode(to encoder: any Encoder) throws {
        // Every figure is written, absent ones as null: readers need not tell "missing" from "unknown".
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(forgetAccuracy.finite, forKey: .forgetAccuracy)
        try container.encode(retainAccuracy.finite, forKey: .retainAccuracy)
        try container.encode(holdoutAccuracy.finite, forKey: .holdoutAccuracy)
        try container.encode(membershipInferenceAUC.finite, forKey: .membershipInferenceAUC)
        try container.encode(forgetQuality, forKey: .forgetQuality)
        try container.encode(privacyLeakage, forKey: .privacyLeakage)
        try container.encode(accuracy, forKey: .accuracy)
        try container.encode(forgetLoss.finite, forKey: .forgetLoss)
        try container.encode(retainLoss.finite, forKey: .retainLoss)
        try container.encode(holdoutLoss.finite, forKey: .holdoutLoss)
        try container.encode(sets, forKey: .sets)
        try container.encode(membership, forKey: .membership)
        try container.encode(ksP.finite, forKey: .ksP)
        try container.encode(ksStatistic.finite, forKey: .ksStatistic)
        try container.encode(ksBasis, forKey: .ksBasis)
        try container.encode(modelUtility.finite, forKey: .modelUtility)
        try container.encode(privleak.finite, forKey: .privleak)
        if !attacks.isEmpty { try container.encode(attacks, forKey: .attacks) }
        try container.encode(tokens, forKey: .tokens)
        try container.encode(rows, forKey: .rows)
        try container.encode(reasons, forKey: .reasons)
    }
}

extension Double? {
    /// The number if it is finite: JSON has no NaN.
    package var finite: Double? { self?.isFinite == true ? self : nil }
}

/// How well the forget set was forgotten, from worst to best.
package enum ForgetQuality: String, Codable, Sendable, CaseIterable, Comparable {
    case insufficient, good, excellent

    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    package static func < (left: ForgetQuality, right: ForgetQuality) -> Bool { left.rank < right.rank }
}

/// How much membership inference tells, from worst to best.
package enum PrivacyLeakage: String, Codable, Sendable, CaseIterable, Comparable {
    case significant, moderate, minimal

    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    package static func < (left: PrivacyLeakage, right: PrivacyLeakage) -> Bool { left.rank < right.rank }
}
