// SPDX-License-Identifier: Apache-2.0

/// How `update` puts a new answer in an old one's place.
package enum UpdateWay: String, Codable, Sendable, CaseIterable {
    /// By training on both answers.
    case gradient
    /// By a closed-form edit of some feed-forward layers.
    case edit
}
