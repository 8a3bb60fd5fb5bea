// SPDX-License-Identifier: Apache-2.0

/// Scores of members and of others, and what an attacker makes of them: lower means "member".
///
/// Two-sided throughout: an area of 0 tells members from others as well as one of 1, so the rate at which members are
/// found is given for both directions.
package struct ReceiverOperating: Hashable, Sendable {
    /// P(member < other) + ½·P(member = other): ``MembershipInference/auc(members:others:)``.
    package let auc: Double
    /// The 95 % interval of the area, by 1000 resamplings.
    package let interval: ClosedRange<Double>
    /// The share of members that score below all but 1 % of the others (Carlini et al., arXiv 2112.03570).
    package let truePositiveRate: Double
    /// The share of members that score above all but 1 % of the others: what gives over-unlearned rows away.
    package let reversedRate: Double

    /// - Parameter seed: Of the resampling; the same seed and scores give the same interval.
    /// - Returns: `nil` when a list is empty or holds a NaN.
    package init?(members: [Double], others: [Double], seed: UInt64 = 0) {
        guard let auc = MembershipInference.auc(members: members, others: others) else { return nil }
        self.auc = auc
        interval = Bootstrap.interval(members: members, others: others, seed: seed)
        truePositiveRate = Self.rate(members, others.sorted(), <)
        reversedRate = Self.rate(members, others.sorted(by: >), >)
    }

    /// The share of members that come `before` every other but the first ⌊n/100⌋.
    ///
    /// The threshold stands between values, so that no more than 1 % of the others are ever called members; members
    /// tied with the first other beyond do not count.
    private static func rate(
        _ members: [Double], _ others: [Double], _ before: (Double, Double) -> Bool
    ) -> Double {
        let limit = others[others.count / 100]
        return Double(members.count { before($0, limit) }) / Double(members.count)
    }
}
