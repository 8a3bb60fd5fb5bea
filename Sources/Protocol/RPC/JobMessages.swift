// SPDX-License-Identifier: Apache-2.0

/// `job.submit`.
package struct JobSubmitParams: Codable, Hashable, Sendable {
    package var spec: JobSpec
    /// Whether to validate and estimate only.
    package var dryRun: Bool?
    /// A submission.
    package init(spec: JobSpec, dryRun: Bool? = nil) {
        self.spec = spec
        self.dryRun = dryRun
    }

    enum CodingKeys: String, CodingKey {
        case spec
        case dryRun = "dry_run"
    }
}

/// The result of `job.submit`.
package struct JobSubmitResult: Codable, Hashable, Sendable {
    /// The job; absent for a dry run.
    package var job: Job?
    /// Whether an earlier job with the same key was found instead of making one.
    package var existing: Bool
    /// What the job is expected to need.
    package var estimate: JobEstimate
    package var warnings: [String]
    /// What a dry run would queue: the specification with all that was chosen for it.
    package var spec: JobSpec?
    /// A result.
    package init(
        job: Job?, existing: Bool, estimate: JobEstimate, warnings: [String], spec: JobSpec? = nil
    ) {
        self.spec = spec
        self.job = job
        self.existing = existing
        self.estimate = estimate
        self.warnings = warnings
    }
}

/// What a job is expected to need.
package struct JobEstimate: Codable, Hashable, Sendable {
    /// Peak resident memory, bytes.
    package var memory: Int64
    /// New bytes on disk at most.
    package var disk: Int64
    /// Wall time on this machine, seconds; a rough figure, `null` when there is no ground for one.
    package var seconds: Double?
    /// Optimiser steps, for training.
    package var steps: Int?
    /// What is done again and how far back that goes, in sentences (`exact`).
    package var replay: [String]?
    /// Peak of what is used of a card's memory, bytes (`device` `cuda`).
    package var card: Int64?
    /// An estimate.
    package init(
        memory: Int64, disk: Int64, seconds: Double?, steps: Int?, replay: [String]? = nil, card: Int64? = nil
    ) {
        self.memory = memory
        self.disk = disk
        self.seconds = seconds
        self.steps = steps
        self.replay = replay
        self.card = card
    }

    enum CodingKeys: String, CodingKey { case memory, disk, seconds, steps, replay, card }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(memory, forKey: .memory)
        try container.encode(disk, forKey: .disk)
        try container.encode(seconds.finite, forKey: .seconds)
        try container.encode(steps, forKey: .steps)
        try container.encodeIfPresent(replay, forKey: .replay)
        try container.encodeIfPresent(card, forKey: .card)
    }
}

/// Names one job.
package struct JobParams: Codable, Hashable, Sendable {
    package var job: JobID
    /// A name.
    package init(job: JobID) { self.job = job }
}

/// `job.list`: newest last.
package struct JobListParams: Codable, Hashable, Sendable {
    package var states: [JobState]?
    package var model: ModelName?
    /// Whether interactive jobs are listed too.
    package var all: Bool?
    /// At most this many of the newest; default 100.
    package var limit: Int?
    /// Only jobs with smaller numbers.
    package var before: JobID?
    /// Only jobs of this family of a sweep.
    package var sweep: String?
    /// A query.
    package init(
        states: [JobState]? = nil, model: ModelName? = nil, all: Bool? = nil, limit: Int? = nil,
        before: JobID? = nil, sweep: String? = nil
    ) {
        self.sweep = sweep
        self.states = states
        self.model = model
        self.all = all
        self.limit = limit
        self.before = before
    }
}

/// `job.cancel`.
package struct JobCancelParams: Codable, Hashable, Sendable {
    package var job: JobID
    /// Whether the worker is killed at once instead of being asked first.
    package var force: Bool?
    /// A wish.
    package init(job: JobID, force: Bool? = nil) {
        self.job = job
        self.force = force
    }
}

/// The result of `job.cancel`.
package struct JobCancelResult: Codable, Hashable, Sendable {
    package var job: JobID
    package var state: JobState
    /// Whether the job had ended, or its cancellation had been asked for, before.
    package var already: Bool
    /// A result.
    package init(job: JobID, state: JobState, already: Bool) {
        self.job = job
        self.state = state
        self.already = already
    }
}

/// `job.log`: lines after line `after`.
package struct JobLogParams: Codable, Hashable, Sendable {
    package var job: JobID
    /// Default 0: from the beginning.
    package var after: Int64?
    /// Default 1000.
    package var limit: Int?
    /// A query.
    package init(job: JobID, after: Int64? = nil, limit: Int? = nil) {
        self.job = job
        self.after = after
        self.limit = limit
    }
}

/// One line of a job's log.
package struct LogLine: Codable, Hashable, Sendable {
    /// Counts from 1 within the job.
    package var line: Int64
    package var time: Timestamp
    /// `info`, `notice`, `warning`, `error`.
    package var level: String
    package var message: String
    /// A line.
    package init(line: Int64, time: Timestamp, level: String, message: String) {
        self.line = line
        self.time = time
        self.level = level
        self.message = message
    }
}

/// The result of `job.log`.
package struct JobLogResult: Codable, Hashable, Sendable {
    package var lines: [LogLine]
    /// The `after` of the next page; absent at the end.
    package var next: Int64?
    /// A page.
    package init(lines: [LogLine], next: Int64?) {
        self.lines = lines
        self.next = next
    }
}

/// A group of jobs, of which so many run at a time.
package struct QueueGroup: Codable, Hashable, Sendable {
    package var name: String
    /// Jobs of it that run at a time at most; absent where the configuration names no limit any more.
    package var parallel: Int?
    package var running: Int
    /// Jobs that wait: held, blocked or queued.
    package var waiting: Int
    /// A group.
    package init(name: String, parallel: Int?, running: Int, waiting: Int) {
        self.name = name
        self.parallel = parallel
        self.running = running
        self.waiting = waiting
    }
}

/// The queue as a whole.
package struct QueueStatus: Codable, Hashable, Sendable {
    /// Whether no queued job is started.
    package var paused: Bool
    /// Jobs by state; terminal states are left out.
    package var jobs: [String: Int]
    /// The running ones.
    package var running: [JobID]
    /// The groups that have a limit, or jobs, by name.
    package var groups: [QueueGroup]?
    /// A status.
    package init(paused: Bool, jobs: [String: Int], running: [JobID], groups: [QueueGroup]? = nil) {
        self.groups = groups
        self.paused = paused
        self.jobs = jobs
        self.running = running
    }
}
