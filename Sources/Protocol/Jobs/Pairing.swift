// SPDX-License-Identifier: Apache-2.0

/// How forget and retain batches are paired when their numbers differ.
package enum Pairing: String, Codable, Sendable, CaseIterable {
    /// As many steps as the shorter set has batches.
    case min
    /// The retain set repeats until every forget row was used.
    case cycle
}
