// SPDX-License-Identifier: Apache-2.0

/// Membership inference by loss (Yeom et al., arXiv 1709.01604), summed up as the area under the ROC curve.
package enum MembershipInference {
    /// P(L_member < L_other) + ½·P(L_member = L_other) over all pairs: 1 when every member has the lower loss, 0.5
    /// when nothing tells them apart, 0 when every member has the higher one.
    ///
    /// Exact: wins are counted in half points (Mann and Whitney's U), so that ties count one half.
    ///
    /// - Returns: `nil` when a list is empty or holds a NaN.
    /// - Complexity: O(*n* log *n*) in the number of all losses.
    package static func auc(members: [Double], others: [Double]) -> Double? {
        guard !members.isEmpty, !others.isEmpty, !members.contains(where: \.isNaN),
            !others.contains(where: \.isNaN)
        else { return nil }
        let members = members.sorted()
        let others = others.sorted()
        var halfPoints = 0
        var below = 0
        var upTo = 0
        for loss in members {
            while below < others.count, others[below] < loss { below += 1 }
            while upTo < others.count, others[upTo] <= loss { upTo += 1 }
            halfPoints += 2 * (others.count - upTo) + (upTo - below)
        }
        return Double(halfPoints) / Double(2 * members.count * others.count)
    }
}
