// SPDX-License-Identifier: Apache-2.0

/// How long the lists of models, versions, files and datasets in one answer may be.
package enum ModelPage {
    /// Most entries of one list, and how many there are if nothing is said.
    package static let most = 1000
    /// What the entries of one list may take together, bytes, so that the answer stays well below the longest line.
    package static let bytes = 1 << 20
}

/// `model.list`: in the order of the names.
package struct ModelListParams: Codable, Hashable, Sendable {
    /// At most this many; default 1000. A page with fewer is the last.
    package var limit: Int?
    /// Only models whose names come after this one.
    package var after: ModelName?
    /// A query.
    package init(limit: Int? = nil, after: ModelName? = nil) {
        self.limit = limit
        self.after = after
    }
}

/// `model.history`: the newest versions, oldest first.
package struct ModelHistoryParams: Codable, Hashable, Sendable {
    package var model: ModelName
    /// At most this many of the newest; default 1000. The page that begins with `v1` is the last.
    package var limit: Int?
    /// Only versions with smaller numbers.
    package var before: VersionNumber?
    /// A query.
    package init(model: ModelName, limit: Int? = nil, before: VersionNumber? = nil) {
        self.model = model
        self.limit = limit
        self.before = before
    }
}

/// `model.show`: of each list the newest entries, oldest first.
package struct ModelShowParams: Codable, Hashable, Sendable {
    package var model: ModelName
    /// At most this many of each list; default 1000.
    package var limit: Int?
    /// Only what came before: the `next` of the page before this one.
    package var before: ModelShowPlace?
    /// A query.
    package init(model: ModelName, limit: Int? = nil, before: ModelShowPlace? = nil) {
        self.model = model
        self.limit = limit
        self.before = before
    }
}

/// `model.files`: in the order of the paths.
package struct ModelFilesParams: Codable, Hashable, Sendable {
    /// The version; without `@vN` the head.
    package var version: VersionReference
    /// At most this many; default 1000.
    package var limit: Int?
    /// Only files whose paths come after this one: the `next` of the page before this one.
    package var after: String?
    /// A query.
    package init(version: VersionReference, limit: Int? = nil, after: String? = nil) {
        self.version = version
        self.limit = limit
        self.after = after
    }
}

/// Where the lists of `model.show` go on: before which entry of each. A list without its member was given to its end.
package struct ModelShowPlace: Codable, Hashable, Sendable {
    /// Of `history`.
    package var version: VersionNumber?
    /// Of `moves`: counts the moves of all models.
    package var move: Int64?
    /// Of `requests`: the version that the entry's job made.
    package var request: VersionNumber?
    /// A place.
    package init(version: VersionNumber? = nil, move: Int64? = nil, request: VersionNumber? = nil) {
        self.version = version
        self.move = move
        self.request = request
    }

    /// Whether every list was given to its end.
    package var isEnd: Bool { version == nil && move == nil && request == nil }
}
