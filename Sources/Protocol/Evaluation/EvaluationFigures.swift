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
        case tokens, rows, reasons
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
