// SPDX-License-Identifier: Apache-2.0

/// The ways in which membership is inferred: what a row's score is. Lower always means "member".
package enum MembershipAttack: String, Codable, Sendable, CaseIterable, Hashable {
    /// The row's mean −ln p.
    case loss
    /// That by the compressed length of its text.
    case zlib
    /// Minus the mean of the lowest 40 % of its tokens' ln p.
    case minK = "min_k"
    /// The same of standardised ln p.
    case minKPlus = "min_k_plus"
    /// The loss less the reference version's.
    case reference
    /// The mean over tensors of the norm of the loss's gradient.
    case gradientNorm = "gradient_norm"

    /// The name of its area among reasons.
    package var reasonKey: String { self == .loss ? "membership_inference_auc" : "\(rawValue)_auc" }
}

/// How well one attack tells forget rows from holdout rows.
package struct MembershipFigures: Codable, Hashable, Sendable {
    /// P(forget < holdout) + ½·ties: 1 when forget rows are all "more known", 0.5 when nothing tells them apart, 0 when
    /// they are all "less known", which tells them apart as well.
    package var auc: Double
    /// The 95 % bootstrap interval of the area.
    package var low: Double
    package var high: Double
    /// The share of forget rows found when 1 % of the holdout rows are called members.
    package var truePositiveRate: Double
    /// The same for an attacker who looks for rows that are less known.
    package var reversedRate: Double

    /// Figures from their parts.
    package init(
        auc: Double, low: Double, high: Double, truePositiveRate: Double, reversedRate: Double
    ) {
        self.auc = auc
        self.low = low
        self.high = high
        self.truePositiveRate = truePositiveRate
        self.reversedRate = reversedRate
    }

    enum CodingKeys: String, CodingKey {
        case auc, low, high
        case truePositiveRate = "tpr_at_1_fpr"
        case reversedRate = "tpr_at_1_fpr_reversed"
    }
}
