// SPDX-License-Identifier: Apache-2.0

/// MUSE's privacy leakage (Shi et al., arXiv 2407.06460, section 3.2): how far membership inference is from where it
/// is for a model that was retrained.
package enum PrivacyLeak {
    /// 100 · (A − A_ref) / A_ref with A = 1 − AUC, MUSE's orientation: 0 is like retrained, −100 leaks fully, above 0
    /// is over-unlearned.
    ///
    /// The area is that of Min-40 %. MUSE's code takes A_ref = 0.5 when there is no retrained model; we do not: a
    /// number that pretends a comparison is worse than none.
    /// - Returns: `nil` when A_ref is 0, where the ratio has no value.
    package static func value(auc: Double, reference: Double) -> Double? {
        let (area, goal) = (1 - auc, 1 - reference)
        return goal > 0 ? 100 * (area - goal) / goal : nil
    }
}
