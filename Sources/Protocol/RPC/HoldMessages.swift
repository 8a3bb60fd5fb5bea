// SPDX-License-Identifier: Apache-2.0

/// `model.hold`: a version must not be destroyed, for a reason, until a time or until it is released.
package struct HoldParams: Codable, Hashable, Sendable {
    package var version: VersionReference
    package var reason: String
    package var until: Timestamp?
    /// A wish.
    package init(version: VersionReference, reason: String, until: Timestamp? = nil) {
        self.version = version
        self.reason = reason
        self.until = until
    }
}

/// Why a version must not be destroyed.
package struct VersionHold: Codable, Hashable, Sendable {
    package var reason: String
    /// When it ends by itself; `null`: never.
    package var until: Timestamp?
    /// The user who set it.
    package var who: Int
    package var created: Timestamp
    /// A hold.
    package init(reason: String, until: Timestamp?, who: Int, created: Timestamp) {
        self.reason = reason
        self.until = until
        self.who = who
        self.created = created
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(reason, forKey: .reason)
        try container.encode(until, forKey: .until)
        try container.encode(who, forKey: .who)
        try container.encode(created, forKey: .created)
    }

    enum CodingKeys: String, CodingKey { case reason, until, who, created }
}

/// `model.tag`: a name for a version; a tagged version does not expire.
package struct TagParams: Codable, Hashable, Sendable {
    package var version: VersionReference
    package var tag: String
    /// Whether the tag is taken away.
    package var remove: Bool?
    /// A wish.
    package init(version: VersionReference, tag: String, remove: Bool? = nil) {
        self.version = version
        self.tag = tag
        self.remove = remove
    }
}
