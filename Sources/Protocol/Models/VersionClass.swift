// SPDX-License-Identifier: Apache-2.0

/// Why a version is kept only for a time.
package enum VersionClass: String, Codable, Hashable, Sendable, CaseIterable {
    /// A job made it, and its gate was refused or its base was not head.
    case candidate
    /// An accepted unlearning job has replaced it: it is what there was before the edit.
    case preEdit = "pre-edit"
}
