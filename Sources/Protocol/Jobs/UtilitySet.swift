// SPDX-License-Identifier: Apache-2.0

/// A further set to measure on: nothing is trained on it.
package struct UtilitySet: Codable, Hashable, Sendable {
    /// What a good model does with the set.
    package enum Role: String, Codable, Sendable, CaseIterable {
        /// It knows it: part of model utility.
        case keep
        /// It has forgotten it.
        case forget
    }

    /// The set's name among the figures: 1 to 64 of `a`–`z`, `0`–`9`, `_` and `-`.
    package var name: String
    package var dataset: Digest
    /// What a good model does with it; default `keep`.
    package var role: Role?
    /// Most tokens of a continuation; default that of the job.
    package var maxNewTokens: Int?
    /// A continuation ends where the first of these begins.
    package var stops: [String]?

    /// A set under its name.
    package init(name: String, dataset: Digest, role: Role? = nil) {
        self.name = name
        self.dataset = dataset
        self.role = role
    }

    enum CodingKeys: String, CodingKey {
        case name, dataset, role, stops
        case maxNewTokens = "max_new_tokens"
    }

    /// Names that the job's own sets have.
    package static let reserved: Set<String> = ["forget", "retain", "holdout"]

    /// Whether a name can stand in the figures.
    package static func isName(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count) && !reserved.contains(name)
            && name.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F || $0 == 0x2D
            }
    }
}
