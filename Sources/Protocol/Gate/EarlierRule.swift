// SPDX-License-Identifier: Apache-2.0

/// What a gate asks of earlier requests: `earlier=RULE`.
package enum EarlierRule: String, Hashable, Sendable, CaseIterable {
    /// Every earlier request that can be measured again is still forgotten; those that cannot be do not count.
    case forgotten
    /// Every earlier request can be measured again, and is still forgotten.
    case verified
}
