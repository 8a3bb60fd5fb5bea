// SPDX-License-Identifier: Apache-2.0

/// Everything a client asks for in one job; immutable once submitted.
///
/// Datasets are named by the SHA-256 of their text and must have been uploaded before.
package struct JobSpec: Codable, Hashable, Sendable {
    /// What to do.
    package var kind: JobKind
    /// The model; `MODEL@vN` fixes the base, `MODEL` means the head when the job starts. `nil` only for work on the whole
    /// store: `verify`, `backup`, `restore`.
    package var model: VersionReference?
    /// What to forget.
    package var forget: Digest?
    /// What to keep; for `finetune` the data to learn.
    package var retain: Digest?
    /// Comparable data that the model never saw: non-members for membership inference.
    package var holdout: Digest?
    /// Further sets to measure on, such as general knowledge.
    package var utility: [UtilitySet]?
    /// A version trained without the forgotten data, measured beside the result.
    package var reference: VersionReference?
    /// The conditions that the result must meet to become head.
    package var gate: String?
    /// Why something is to be forgotten: chooses the gate where none is given.
    package var need: Need?
    /// What is tried to bring back what was forgotten: on the result, or by `attack` on the version named.
    package var attacks: [AttackKind]?
    /// How long an accepted job's forget set is measured again by later jobs on the model, seconds; the daemon fills in
    /// its default. 0: never.
    package var reviewLease: Double?
    /// Whether to measure before and after; `nil` means yes where a forget or retain set is given.
    package var evaluate: Bool?
    /// The seed of data order and random numbers.
    package var seed: UInt64?
    /// −100 to 100; higher runs first.
    package var priority: Int?
    /// Jobs that must end first.
    package var after: [Dependency]?
    /// Earliest start, RFC 3339.
    package var at: Timestamp?
    /// Whether to wait for `job.release`.
    package var hold: Bool?
    /// When it should have ended: a warning before, another when it is missed. The job goes on.
    package var deadline: Timestamp?
    /// How often it is tried again after a failure that may pass; absent: never.
    package var retries: Int?
    /// The group that it runs in, whose limit the configuration names.
    package var group: String?
    /// Idempotency key: the same key and body name the same job.
    package var key: String?
    /// Free labels.
    package var labels: [String: String]?
    /// Free text for people, such as the number of a request.
    package var note: String?
    /// The job's place in a sweep; written by the daemon.
    package var sweep: SweepPlace?
    /// What the kind needs beyond the above.
    package var parameters: JobParameters?

    enum CodingKeys: String, CodingKey {
        case kind, model, forget, retain, holdout, utility, reference, gate, need, attacks, evaluate, seed
        case priority, after, at, deadline, retries, group, hold, key, labels, note, sweep, parameters
        case reviewLease = "review_lease"
    }

    /// The longest lease, seconds: a hundred years.
    package static let longestLease = 36_525.0 * 86_400
    /// Most times that a job is tried again by itself.
    package static let mostRetries = 10
    /// How long a forget set is measured again unless said otherwise, days.
    package static let defaultLeaseDays = 30

    /// Whether any set is given to measure on.
    package var measuresSomething: Bool {
        forget != nil || retain != nil || holdout != nil || utility?.isEmpty == false
    }

    /// What a gate can look at.
    package var gateData: Set<GateData> {
        var given: Set<GateData> = []
        if forget != nil { given.insert(.forget) }
        if retain != nil { given.insert(.retain) }
        if holdout != nil { given.insert(.holdout) }
        if utility?.isEmpty == false { given.insert(.utility) }
        if reference != nil { given.insert(.reference) }
        for attack in attacks ?? [] {
            if let data = GateData(rawValue: attack.rawValue) { given.insert(data) }
        }
        return given
    }

    /// A specification with only the members that every job has.
    package init(kind: JobKind, model: VersionReference? = nil, parameters: JobParameters? = nil) {
        self.kind = kind
        self.model = model
        self.parameters = parameters
    }

    /// Threads of each of the job's processes, where the job may use that many.
    package func threadsPerRank(of threads: Int) -> Int { max(1, threads / (parameters?.ranks ?? 1)) }

    /// Rows of each set that one training step sees.
    package var rowsPerStep: Int { (parameters?.batchSize ?? 4) * (parameters?.accumulate ?? 1) }
}
