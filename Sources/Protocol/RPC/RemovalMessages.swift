// SPDX-License-Identifier: Apache-2.0

/// `model.remove`: takes a model and all its versions out of use.
package struct RemoveModelParams: Codable, Hashable, Sendable {
    package var model: ModelName
    package var reason: String
    /// A wish.
    package init(model: ModelName, reason: String) {
        self.model = model
        self.reason = reason
    }
}

/// When and why a model was removed.
package struct ModelRemoval: Codable, Hashable, Sendable {
    package var time: Timestamp
    /// The user who removed it.
    package var who: Int
    package var reason: String
    /// Its newest version: this one and all with smaller numbers were removed with it, if they were still there.
    package var last: VersionNumber
    /// A removal.
    package init(time: Timestamp, who: Int, reason: String, last: VersionNumber) {
        self.time = time
        self.who = who
        self.reason = reason
        self.last = last
    }
}

/// What `model.remove` took out of use.
package struct RemoveModelResult: Codable, Hashable, Sendable {
    package var model: ModelName
    /// The versions whose bytes were still there, oldest first: what nothing else needs of them goes with the next
    /// collection.
    package var versions: [VersionNumber]
    package var removal: ModelRemoval
    /// The backup targets that may hold the bytes.
    package var backups: [String]
    /// A result.
    package init(model: ModelName, versions: [VersionNumber], removal: ModelRemoval, backups: [String]) {
        self.model = model
        self.versions = versions
        self.removal = removal
        self.backups = backups
    }
}
