// SPDX-License-Identifier: Apache-2.0

/// `model.publish` and `model.unpublish`: a model, and a publish target of the daemon's configuration.
package struct PublishParams: Codable, Hashable, Sendable {
    package var model: ModelName
    package var target: String
    /// A wish.
    package init(model: ModelName, target: String) {
        self.model = model
        self.target = target
    }
}

/// How a publish target stands against the head that it follows.
package enum PublicationState: String, Codable, Sendable, CaseIterable {
    /// It shows the head.
    case current
    /// A job that brings it up to the head waits or runs.
    case behind
    /// It does not show the head, and nothing is under way: `why` says what stopped it.
    case failing
}

/// A directory that shows a model's head to serving engines.
package struct Publication: Codable, Hashable, Sendable {
    package var target: String
    package var model: ModelName
    /// The target's directory; `null` when the configuration does not name the target any more.
    package var directory: String?
    /// The version that it shows; `null` before the first switch.
    package var version: VersionNumber?
    package var digest: Digest?
    /// When it was switched to that version.
    package var switched: Timestamp?
    package var state: PublicationState
    /// What stopped it, or what was wrong with the hook after the last switch.
    package var why: String?
    /// The newest job that publishes here.
    package var job: JobID?
    /// A publication.
    package init(
        target: String, model: ModelName, directory: String?, version: VersionNumber?, digest: Digest?,
        switched: Timestamp?, state: PublicationState, why: String?, job: JobID?
    ) {
        self.target = target
        self.model = model
        self.directory = directory
        self.version = version
        self.digest = digest
        self.switched = switched
        self.state = state
        self.why = why
        self.job = job
    }

    enum CodingKeys: String, CodingKey {
        case target, model, directory, version, digest, switched, state, why, job
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(target, forKey: .target)
        try container.encode(model, forKey: .model)
        try container.encode(directory, forKey: .directory)
        try container.encode(version, forKey: .version)
        try container.encode(digest, forKey: .digest)
        try container.encode(switched, forKey: .switched)
        try container.encode(state, forKey: .state)
        try container.encode(why, forKey: .why)
        try container.encode(job, forKey: .job)
    }
}

/// The result of `model.publish`.
package struct PublishResult: Codable, Hashable, Sendable {
    package var publication: Publication
    /// The job that publishes the head, as it was queued.
    package var job: Job
    /// A result.
    package init(publication: Publication, job: Job) {
        self.publication = publication
        self.job = job
    }
}

/// The result of `model.unpublish`.
package struct UnpublishResult: Codable, Hashable, Sendable {
    package var model: ModelName
    package var target: String
    /// Copies that were removed, by the names of their directories.
    package var removed: [String]
    /// What could not be removed, and why.
    package var left: [String]
    /// A result.
    package init(model: ModelName, target: String, removed: [String], left: [String]) {
        self.model = model
        self.target = target
        self.removed = removed
        self.left = left
    }
}

/// A copy of a version in a publish target.
package struct PublishedCopy: Codable, Hashable, Sendable {
    package var target: String
    package var version: VersionReference
    /// The name of its directory among the target's `versions`.
    package var name: String
    /// Whether it is gone; `false` as long as the target cannot be reached.
    package var removed: Bool
    /// A copy.
    package init(target: String, version: VersionReference, name: String, removed: Bool = false) {
        self.target = target
        self.version = version
        self.name = name
        self.removed = removed
    }
}
