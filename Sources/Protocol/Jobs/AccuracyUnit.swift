// SPDX-License-Identifier: Apache-2.0

/// What an accuracy counts.
package enum AccuracyUnit: String, Codable, Sendable, CaseIterable {
    /// Labelled tokens, pooled over the set.
    case token
    /// Rows whose every label is predicted.
    case row
}
