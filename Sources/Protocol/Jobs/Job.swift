// SPDX-License-Identifier: Apache-2.0

/// A job as clients see it. Absent members are written as `null`.
package struct Job: Codable, Hashable, Sendable {
    package var id: JobID
    package var kind: JobKind
    /// The model's name; `null` only for `verify`.
    package var model: ModelName?
    package var state: JobState
    /// Why a waiting job waits, or a terminal one ended: `model-busy`, `queue-paused`, `dependency`, `retrying`, …
    package var reason: String?
    /// The version that the job started from; bound when it starts.
    package var base: VersionNumber?
    /// The version that the job made.
    package var version: VersionNumber?
    /// The version's digest.
    package var digest: Digest?
    /// Whether the job's version became the model's head.
    package var headMoved: Bool?
    /// Why not: `gate-refused`, `sweep`, `base-not-head`.
    package var headReason: String?
    package var gate: GateVerdict?
    package var evaluation: EvaluationReport?
    package var training: [TrainingEpoch]?
    /// What the kind gives back beyond the above: ids and text, a diff, a verification, counts.
    package var result: JSONValue?
    package var warnings: [String]
    package var error: JobFailure?
    package var progress: JobProgress?
    /// What a training job would go on from; `null` where there is none, and once the job has ended.
    package var checkpoint: TrainingCheckpoint?
    /// Where a cluster has put it, at its latest start; `null` for jobs that no cluster was asked to run.
    package var placement: JobPlacement?
    package var priority: Int
    package var attempt: Int
    package var after: [Dependency]
    package var labels: [String: String]
    package var note: String?
    /// Who submitted it: the peer's user id.
    package var submitter: Int
    package var created: Timestamp
    /// Earliest start.
    package var at: Timestamp?
    /// When it should have ended.
    package var deadline: Timestamp?
    /// The group whose limit it counts towards.
    package var group: String?
    /// How often it was tried again by itself after a failure that may pass.
    package var retried: Int?
    /// When it is tried again; `error` says what happened last.
    package var retryAt: Timestamp?
    package var started: Timestamp?
    package var finished: Timestamp?
    package var spec: JobSpec

    /// A job that nothing has happened to yet.
    package init(id: JobID, spec: JobSpec, state: JobState, submitter: Int, created: Timestamp) {
        self.id = id
        kind = spec.kind
        model = spec.model?.model
        self.state = state
        self.submitter = submitter
        self.created = created
        self.spec = spec
        priority = spec.priority ?? 0
        after = spec.after ?? []
        labels = spec.labels ?? [:]
        note = spec.note
        at = spec.at
        deadline = spec.deadline
        group = spec.group
        attempt = 0
        warnings = []
    }

    enum CodingKeys: String, CodingKey {
        case id, kind, model, state, reason, base, version, digest, gate, evaluation, training, result,
            warnings
        case error, progress, priority, attempt, after, labels, note, submitter, created, at, started,
            finished, spec, checkpoint, deadline, group, retried, placement
        case retryAt = "retry_at"
        case headMoved = "head_moved"
        case headReason = "head_reason"
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encode(kind, forKey: .kind)
        try container.encode(model, forKey: .model)
        try container.encode(state, forKey: .state)
        try container.encode(reason, forKey: .reason)
        try container.encode(base, forKey: .base)
        try container.encode(version, forKey: .version)
        try container.encode(digest, forKey: .digest)
        try container.encode(headMoved, forKey: .headMoved)
        try container.encode(headReason, forKey: .headReason)
        try container.encode(gate, forKey: .gate)
        try container.encode(evaluation, forKey: .evaluation)
        try container.encode(training, forKey: .training)
        try container.encode(result, forKey: .result)
        try container.encode(warnings, forKey: .warnings)
        try container.encode(error, forKey: .error)
        try container.encode(progress, forKey: .progress)
        try container.encode(checkpoint, forKey: .checkpoint)
        try container.encode(placement, forKey: .placement)
        try container.encode(priority, forKey: .priority)
        try container.encode(attempt, forKey: .attempt)
        try container.encode(after, forKey: .after)
        try container.encode(labels, forKey: .labels)
        try container.encode(note, forKey: .note)
        try container.encode(submitter, forKey: .submitter)
        try container.encode(created, forKey: .created)
        try container.encode(at, forKey: .at)
        try container.encode(deadline, forKey: .deadline)
        try container.encode(group, forKey: .group)
        try container.encode(retried, forKey: .retried)
        try container.encode(retryAt, forKey: .retryAt)
        try container.encode(started, forKey: .started)
        try container.encode(finished, forKey: .finished)
        try container.encode(spec, forKey: .spec)
    }
}
