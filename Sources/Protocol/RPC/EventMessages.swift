// SPDX-License-Identifier: Apache-2.0

/// `events.subscribe`: the past from `since`, then whatever happens.
package struct SubscribeParams: Codable, Hashable, Sendable {
    /// The first sequence number wanted; absent: only what is new.
    package var since: Int64?
    /// Only these types.
    package var types: [String]?
    /// Only events of these jobs.
    package var jobs: [JobID]?
    /// Whether the result carries the jobs named by `jobs` as they stand, at the position where the events begin.
    package var snapshot: Bool?

    /// A subscription.
    package init(since: Int64? = nil, types: [String]? = nil, jobs: [JobID]? = nil, snapshot: Bool? = nil) {
        self.since = since
        self.types = types
        self.jobs = jobs
        self.snapshot = snapshot
    }
}

/// The result of `events.subscribe`.
package struct SubscribeResult: Codable, Hashable, Sendable {
    /// The subscription's number on this connection.
    package var sub: Int
    /// The sequence number of the next durable event.
    package var nextSeq: Int64
    /// The jobs asked for, as they stood before that event.
    package var snapshot: [Job]?

    /// A subscription's start.
    package init(sub: Int, nextSeq: Int64, snapshot: [Job]?) {
        self.sub = sub
        self.nextSeq = nextSeq
        self.snapshot = snapshot
    }

    enum CodingKeys: String, CodingKey {
        case sub, snapshot
        case nextSeq = "next_seq"
    }
}

/// One event: a row of the durable log, or, without `seq`, a passing report.
package struct Event: Codable, Hashable, Sendable {
    /// Position in the durable log; absent for `progress` and `log`.
    package var seq: Int64?
    package var time: Timestamp
    package var type: EventType
    package var job: JobID?
    package var model: ModelName?
    package var data: JSONValue

    /// An event.
    package init(
        seq: Int64? = nil, time: Timestamp, type: EventType, job: JobID? = nil, model: ModelName? = nil,
        data: JSONValue = .object(JSONObject())
    ) {
        self.seq = seq
        self.time = time
        self.type = type
        self.job = job
        self.model = model
        self.data = data
    }
}

/// The parameters of the notification `event`.
package struct EventNotification: Codable, Hashable, Sendable {
    package var sub: Int
    package var event: Event

    /// A notification.
    package init(sub: Int, event: Event) {
        self.sub = sub
        self.event = event
    }
}

/// The types of events.
package struct EventType: OpenNames, Hashable, Sendable {
    /// The names that this version gives.
    package enum Known: String, CaseIterable {
        case submitted, state, snapshot, edit, epoch, checkpoint, evaluation, gate, version, head,
            expired, purged, removed, published, deadline, placed, warning, queue, started, progress, log,
            lagged
    }

    package var rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }

    /// A job was submitted.
    package static let submitted = EventType(.submitted)
    /// A job changed its state: `from`, `to`, `reason`.
    package static let state = EventType(.state)
    /// The base is whole, durable and pinned: `version`, `digest`, `objects`, `bytes`.
    package static let snapshot = EventType(.snapshot)
    /// The edit of the weights begins.
    package static let edit = EventType(.edit)
    /// An epoch ended: a ``TrainingEpoch``.
    package static let epoch = EventType(.epoch)
    /// A training checkpoint was written: a ``TrainingCheckpoint``.
    package static let checkpoint = EventType(.checkpoint)
    /// A version was measured: `role` and its figures.
    package static let evaluation = EventType(.evaluation)
    /// A gate was judged: a ``GateVerdict``.
    package static let gate = EventType(.gate)
    /// A version was committed: `version`, `digest`, `candidate`.
    package static let version = EventType(.version)
    /// A head moved: `from`, `to`, `who`, `why`.
    package static let head = EventType(.head)
    /// A version was given up because its time was over: `version`, `digest`, `class`.
    package static let expired = EventType(.expired)
    /// A version or dataset was purged: `version` or `dataset`, `digest`, `purge`.
    package static let purged = EventType(.purged)
    /// A model was removed: `versions`, those whose bytes were still there, `last`.
    package static let removed = EventType(.removed)
    /// A publish target shows another version, or, with `version` null, none: `target`, `version`, `digest`, `from`.
    package static let published = EventType(.published)
    /// A job has not ended and its deadline comes near, or, with `missed` true, is over: `deadline`, `state`.
    package static let deadline = EventType(.deadline)
    /// A cluster gave a job a place, or has another reason for not doing it yet: a ``JobPlacement``.
    package static let placed = EventType(.placed)
    /// Something worth knowing.
    package static let warning = EventType(.warning)
    /// The queue was paused or resumed: `paused`.
    package static let queue = EventType(.queue)
    /// The daemon started: what it recovered.
    package static let started = EventType(.started)
    /// A job's progress; not durable, the latest replaces the one before.
    package static let progress = EventType(.progress)
    /// A line of a job's log; kept with the job, not in the event log.
    package static let log = EventType(.log)
    /// The subscriber was too slow: `next` is where to subscribe again. The last line of the subscription.
    package static let lagged = EventType(.lagged)
}
