// SPDX-License-Identifier: Apache-2.0

/// Which parts of a network `ablate` may switch off.
package enum AblationUnits: String, Codable, Sendable, CaseIterable {
    /// Values inside the feed-forward layers.
    case neurons
    /// Attention heads.
    case heads
    case both
}

/// How `ablate` finds out what a unit carries.
package enum AttributionMethod: String, Codable, Sendable, CaseIterable {
    /// Activation times gradient: one backward pass.
    case gradient
    /// Integrated gradients: as many backward passes as the path has points, for each layer and kind.
    case integrated
}

/// What `ablate` does to a unit's output weights.
package enum AblationMode: String, Codable, Sendable, CaseIterable {
    /// They become 0.
    case zero
    /// They are multiplied by a factor.
    case dampen
    /// They become 0, and the projection's bias takes up the mean of what they contributed.
    case mean
}
