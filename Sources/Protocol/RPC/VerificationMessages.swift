// SPDX-License-Identifier: Apache-2.0

/// What is known of the store's soundness: a member of `store.status`.
package struct StoreVerification: Codable, Hashable, Sendable {
    /// The newest verification; `null`: there was none.
    package var last: VerificationRun?
    /// When the last pass that decoded and hashed every object ended.
    package var whole: Timestamp?
    /// The newest one that found damage; `null` once a whole pass at its level or a closer one has found none.
    package var damage: VerificationRun?
    /// What the next verification with a time limit goes on with.
    package var unfinished: VerificationPass?
    /// Hours from one scheduled verification to the next; `null`: none are scheduled.
    package var everyHours: Int?
    /// When the next scheduled one is due.
    package var next: Timestamp?

    /// What is known.
    package init(
        last: VerificationRun? = nil, whole: Timestamp? = nil, damage: VerificationRun? = nil,
        unfinished: VerificationPass? = nil, everyHours: Int? = nil, next: Timestamp? = nil
    ) {
        self.last = last
        self.whole = whole
        self.damage = damage
        self.unfinished = unfinished
        self.everyHours = everyHours
        self.next = next
    }

    enum CodingKeys: String, CodingKey {
        case last, whole, damage, unfinished, next
        case everyHours = "every_hours"
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(last, forKey: .last)
        try container.encode(whole, forKey: .whole)
        try container.encode(damage, forKey: .damage)
        try container.encode(unfinished, forKey: .unfinished)
        try container.encode(everyHours, forKey: .everyHours)
        try container.encode(next, forKey: .next)
    }
}

/// What one verification looked at and found.
package struct VerificationRun: Codable, Hashable, Sendable {
    package var job: JobID
    package var time: Timestamp
    /// `quick` or `full`.
    package var level: String
    /// Objects looked at.
    package var objects: Int
    /// Objects that there were.
    package var total: Int
    /// Whether it came to the end of what it was to look at: false where its time was over before.
    package var complete: Bool
    /// Whether the daemon's schedule asked for it.
    package var scheduled: Bool
    /// Objects that were there and are damaged.
    package var corrupt: Int
    /// Objects that are needed and not there.
    package var missing: Int
    /// The versions that need them, at most 1000.
    package var versions: [VersionReference]

    /// A run.
    package init(
        job: JobID, time: Timestamp, level: String, objects: Int, total: Int, complete: Bool, scheduled: Bool,
        corrupt: Int, missing: Int, versions: [VersionReference]
    ) {
        self.job = job
        self.time = time
        self.level = level
        self.objects = objects
        self.total = total
        self.complete = complete
        self.scheduled = scheduled
        self.corrupt = corrupt
        self.missing = missing
        self.versions = versions
    }
}

/// A pass over the store that several verifications with a time limit share.
package struct VerificationPass: Codable, Hashable, Sendable {
    /// `quick` or `full`.
    package var level: String
    /// When its first part began.
    package var began: Timestamp
    /// The last object looked at, in the order of the names.
    package var after: Digest
    /// Objects that were looked at so far.
    package var done: Int
    /// Objects that there were when the last part ended.
    package var total: Int
    /// Whether a part of it found damage.
    package var damaged: Bool

    /// A pass.
    package init(level: String, began: Timestamp, after: Digest, done: Int, total: Int, damaged: Bool) {
        self.level = level
        self.began = began
        self.after = after
        self.done = done
        self.total = total
        self.damaged = damaged
    }
}
