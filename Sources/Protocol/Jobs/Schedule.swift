// SPDX-License-Identifier: Apache-2.0

/// How the learning rate goes over a run, after its warm-up.
package enum Schedule: String, Codable, Sendable, CaseIterable {
    case constant
    /// Straight down to 0.
    case linear
    /// Down to 0 as half a cosine.
    case cosine
}
