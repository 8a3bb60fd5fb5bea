// SPDX-License-Identifier: Apache-2.0

/// Names one version; without `@vN` the head.
package struct VersionParams: Codable, Hashable, Sendable {
    package var version: VersionReference
    /// A name.
    package init(version: VersionReference) { self.version = version }
}

/// A model in a list.
package struct ModelSummary: Codable, Hashable, Sendable {
    package var model: ModelName
    /// The version that users get; `null` before the first is committed.
    package var head: VersionNumber?
    /// The head's digest.
    package var digest: Digest?
    package var versions: Int
    package var candidates: Int
    /// The head's size, bytes.
    package var bytes: Int64
    package var architecture: String?
    package var created: Timestamp
    /// A summary.
    package init(
        model: ModelName, head: VersionNumber?, digest: Digest?, versions: Int, candidates: Int, bytes: Int64,
        architecture: String?, created: Timestamp
    ) {
        self.model = model
        self.head = head
        self.digest = digest
        self.versions = versions
        self.candidates = candidates
        self.bytes = bytes
        self.architecture = architecture
        self.created = created
    }
}

/// A version in a model's history.
package struct VersionSummary: Codable, Hashable, Sendable {
    package var version: VersionNumber
    package var parent: VersionNumber?
    /// The job that made it.
    package var job: JobID?
    package var kind: JobKind?
    package var created: Timestamp
    /// Whether it is the head now.
    package var head: Bool
    /// Whether its gate was refused or its base was not head.
    package var candidate: Bool
    /// Whether its bytes are no longer there: it was purged, removed with its model, or its time was over.
    package var gone: Bool
    /// When it was purged; `null` if it was not.
    package var purged: Timestamp?
    /// When it was removed with its model; `null` if it was not, or was purged before.
    package var removed: Timestamp?
    package var digest: Digest
    package var bytes: Int64
    package var note: String?
    /// Why it must not be destroyed.
    package var hold: VersionHold?
    /// Its names, in order.
    package var tags: [String]
    /// Why it is kept only for a time; `null` for versions that stay.
    package var retention: VersionClass?
    /// From when on it is given up, as things stand; `null` where that is not told by the clock alone.
    package var expires: Timestamp?
    /// A summary.
    package init(
        version: VersionNumber, parent: VersionNumber?, job: JobID?, kind: JobKind?, created: Timestamp,
        head: Bool,
        candidate: Bool, gone: Bool = false, digest: Digest, bytes: Int64, note: String?,
        hold: VersionHold? = nil, tags: [String] = [], purged: Timestamp? = nil, removed: Timestamp? = nil,
        retention: VersionClass? = nil, expires: Timestamp? = nil
    ) {
        self.retention = retention
        self.expires = expires
        self.purged = purged
        self.removed = removed
        self.hold = hold
        self.tags = tags
        self.gone = gone
        self.version = version
        self.parent = parent
        self.job = job
        self.kind = kind
        self.created = created
        self.head = head
        self.candidate = candidate
        self.digest = digest
        self.bytes = bytes
        self.note = note
    }

    enum CodingKeys: String, CodingKey {
        case version, parent, job, kind, created, head, candidate, gone, purged, removed, digest, bytes, note,
            hold, tags, expires
        case retention = "class"
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(version, forKey: .version)
        try container.encode(parent, forKey: .parent)
        try container.encode(job, forKey: .job)
        try container.encode(kind, forKey: .kind)
        try container.encode(created, forKey: .created)
        try container.encode(head, forKey: .head)
        try container.encode(candidate, forKey: .candidate)
        try container.encode(gone, forKey: .gone)
        try container.encode(purged, forKey: .purged)
        try container.encode(removed, forKey: .removed)
        try container.encode(digest, forKey: .digest)
        try container.encode(bytes, forKey: .bytes)
        try container.encode(note, forKey: .note)
        try container.encode(hold, forKey: .hold)
        try container.encode(tags, forKey: .tags)
        try container.encode(retention, forKey: .retention)
        try container.encode(expires, forKey: .expires)
    }
}

/// One move of a head.
package struct HeadMove: Codable, Hashable, Sendable {
    package var model: ModelName
    package var from: VersionNumber?
    package var to: VersionNumber
    package var time: Timestamp
    /// The user who moved it.
    package var who: Int
    /// `job 7`, `rollback`, or the reason given with `promote`.
    package var why: String
    /// The jobs whose results are no longer in the head (for a rollback).
    package var undone: [JobID]
    /// A move.
    package init(
        model: ModelName, from: VersionNumber?, to: VersionNumber, time: Timestamp, who: Int, why: String,
        undone: [JobID]
    ) {
        self.model = model
        self.from = from
        self.to = to
        self.time = time
        self.who = who
        self.why = why
        self.undone = undone
    }

    enum CodingKeys: String, CodingKey { case model, from, to, time, who, why, undone }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(model, forKey: .model)
        try container.encode(from, forKey: .from)
        try container.encode(to, forKey: .to)
        try container.encode(time, forKey: .time)
        try container.encode(who, forKey: .who)
        try container.encode(why, forKey: .why)
        try container.encode(undone, forKey: .undone)
    }
}

/// A model with its versions and its head's moves: all of them, or a page of each list.
package struct ModelDetail: Codable, Hashable, Sendable {
    package var summary: ModelSummary
    package var history: [VersionSummary]
    package var moves: [HeadMove]
    /// The head's files, in the order of their paths: all of them, or a page.
    package var files: [FileSummary]
    /// The `after` with which `model.files` gives the rest of the head's files; absent where all are here.
    package var nextFile: String?
    /// What the unlearning jobs in the head's line were asked to forget, oldest first.
    package var requests: [UnlearnedRequest]
    /// Where serving engines read the head, by target.
    package var publications: [Publication]
    /// When and why a model of this name was removed, oldest first.
    package var removals: [ModelRemoval]
    /// The `before` of the next page, of what is older; absent at the end. `files`, `publications` and `removals` are in
    /// the first page only.
    package var next: ModelShowPlace?
    /// A detail.
    package init(
        summary: ModelSummary, history: [VersionSummary], moves: [HeadMove], files: [FileSummary],
        requests: [UnlearnedRequest] = [], publications: [Publication] = [], removals: [ModelRemoval] = [],
        next: ModelShowPlace? = nil, nextFile: String? = nil
    ) {
        self.removals = removals
        self.nextFile = nextFile
        self.next = next
        self.requests = requests
        self.publications = publications
        self.summary = summary
        self.history = history
        self.moves = moves
        self.files = files
    }

    enum CodingKeys: String, CodingKey {
        case history, moves, files, requests, publications, removals, next
        case nextFile = "next_file"
    }

    package init(from decoder: any Decoder) throws {
        summary = try ModelSummary(from: decoder)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        history = try container.decode([VersionSummary].self, forKey: .history)
        moves = try container.decode([HeadMove].self, forKey: .moves)
        files = try container.decode([FileSummary].self, forKey: .files)
        requests = try container.decodeIfPresent([UnlearnedRequest].self, forKey: .requests) ?? []
        publications = try container.decodeIfPresent([Publication].self, forKey: .publications) ?? []
        removals = try container.decodeIfPresent([ModelRemoval].self, forKey: .removals) ?? []
        next = try container.decodeIfPresent(ModelShowPlace.self, forKey: .next)
        nextFile = try container.decodeIfPresent(String.self, forKey: .nextFile)
    }

    package func encode(to encoder: any Encoder) throws {
        // One flat object: the summary's members and the lists beside them.
        try summary.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(history, forKey: .history)
        try container.encode(moves, forKey: .moves)
        try container.encode(files, forKey: .files)
        try container.encode(requests, forKey: .requests)
        try container.encode(publications, forKey: .publications)
        try container.encode(removals, forKey: .removals)
        try container.encodeIfPresent(next, forKey: .next)
        try container.encodeIfPresent(nextFile, forKey: .nextFile)
    }
}

/// What one unlearning job was asked to forget, and which versions still know it.
package struct UnlearnedRequest: Codable, Hashable, Sendable {
    package var job: JobID
    /// The forget set.
    package var forget: Digest
    /// The version that the job made.
    package var version: VersionNumber
    /// The model's versions that know it and whose bytes are there: those that learned it, and what was made of them.
    package var knownBy: [VersionNumber]
    /// Such versions of other models.
    package var knownElsewhere: [VersionReference]
    /// A request.
    package init(
        job: JobID, forget: Digest, version: VersionNumber, knownBy: [VersionNumber],
        knownElsewhere: [VersionReference] = []
    ) {
        self.knownElsewhere = knownElsewhere
        self.job = job
        self.forget = forget
        self.version = version
        self.knownBy = knownBy
    }

    enum CodingKeys: String, CodingKey {
        case job, forget, version
        case knownBy = "known_by"
        case knownElsewhere = "known_elsewhere"
    }
}

/// A file of a version.
package struct FileSummary: Codable, Hashable, Sendable {
    package var path: String
    package var size: Int64
    package var sha256: Digest
    /// Permission bits.
    package var mode: Int
    /// A file.
    package init(path: String, size: Int64, sha256: Digest, mode: Int) {
        self.path = path
        self.size = size
        self.sha256 = sha256
        self.mode = mode
    }
}

/// The files of one version: all of them, or a page.
package struct VersionFiles: Codable, Hashable, Sendable {
    package var model: ModelName
    package var version: VersionNumber
    package var digest: Digest
    /// In the order of their paths.
    package var files: [FileSummary]
    /// The `after` of the next page; absent at the end.
    package var next: String?
    /// A list.
    package init(
        model: ModelName, version: VersionNumber, digest: Digest, files: [FileSummary], next: String? = nil
    ) {
        self.model = model
        self.version = version
        self.digest = digest
        self.files = files
        self.next = next
    }
}

/// `model.rollback`.
package struct RollbackParams: Codable, Hashable, Sendable {
    package var model: ModelName
    package var to: VersionNumber
    package var reason: String?
    /// A wish.
    package init(model: ModelName, to: VersionNumber, reason: String? = nil) {
        self.model = model
        self.to = to
        self.reason = reason
    }
}

/// `model.promote`: makes a kept version the head.
package struct PromoteParams: Codable, Hashable, Sendable {
    package var version: VersionReference
    package var reason: String
    /// A wish.
    package init(version: VersionReference, reason: String) {
        self.version = version
        self.reason = reason
    }
}
