// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Everything that a report is made of, as the daemon gave it.
struct ReportSource {
    /// The job as it came, with members that this client may not know.
    var raw: JSONValue
    var job: Job
    /// Base and result, and the model's other versions.
    var versions: [VersionSummary] = []
    /// The job's evidence by name.
    var evidence: [EvidenceName: StoredEvidence] = [:]
    /// The jobs of the same sweep, this one among them; empty for a job of its own.
    var family: [Job] = []
    /// The datasets that are still stored.
    var datasets: [Digest: DatasetSummary] = [:]

    /// Asks for a job and all that belongs to it.
    /// - Throws: ``ClientError`` when there is no such job.
    init(_ id: JobID, _ session: Session) throws(ClientError) {
        raw = try session.call(.jobShow, JobParams(job: id))
        job = try Session.decode(Job.self, raw)
        let connection = try session.connection()
        if let model = job.model { versions = try session.versions(of: model) }
        for set in [job.spec.forget, job.spec.retain, job.spec.holdout] {
            guard let set,
                case .success(let value) = try connection.callReturningError(
                    .datasetShow, DatasetParams(dataset: set.hex))
            else { continue }
            datasets[set] = try Session.decode(DatasetSummary.self, value)
        }
        if let sweep = job.spec.sweep {
            family = try Session.decode(
                [Job].self,
                try session.call(
                    .jobList, JobListParams(all: true, limit: SweepPlace.most, sweep: sweep.family)))
        }
        // An older daemon keeps none.
        guard
            case .success(let list) = try connection.callReturningError(
                .jobEvidence, JobEvidenceParams(job: id))
        else { return }
        for piece in try Session.decode(JobEvidenceResult.self, list).pieces {
            let whole = try session.call(
                .jobEvidence, JobEvidenceParams(job: id, name: piece.name), as: JobEvidenceResult.self)
            if let first = whole.pieces.first { evidence[piece.name] = first }
        }
    }

    /// The version that the job started from.
    var base: VersionSummary? { versions.first { $0.version == job.base } }
    /// The version that the job made.
    var result: VersionSummary? { job.version.flatMap { number in versions.first { $0.version == number } } }

    /// The figures of one role as they came.
    func figures(_ role: String) -> JSONObject? { raw["evaluation"]?[role]?.objectValue }

    /// The whole as JSON.
    func json(limits: [String]) -> JSONValue {
        let shown = versions.filter { $0.version == job.base || $0.version == job.version }
        var pieces = JSONObject()
        for (name, piece) in evidence.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            pieces[name.rawValue] = (try? JSONValue(encoding: piece)) ?? .null
        }
        let ranking = SweepRanking(family).entries.map { entry -> JSONValue in
            func number(_ value: Double?) -> JSONValue { value.finite.map { .number($0) } ?? .null }
            return [
                "job": .integer(Int64(entry.job.id)),
                "version": entry.job.version.map { .string($0.description) } ?? .null,
                "values": (entry.job.spec.sweep?.values).flatMap { try? JSONValue(encoding: $0) } ?? .null,
                "passed": entry.passed.map { .bool($0) } ?? .null, "utility": number(entry.utility),
                "forget": number(entry.forget), "retain": number(entry.retain),
                "distance": number(entry.distance),
            ]
        }
        return [
            "sweep": family.isEmpty ? .null : .array(ranking), "job": raw,
            "versions": .array(shown.compactMap { try? JSONValue(encoding: $0) }),
            "datasets": .array(
                datasets.sorted { $0.key < $1.key }.compactMap { try? JSONValue(encoding: $0.value) }),
            "evidence": .object(pieces), "limits": .array(limits.map { .string($0) }),
        ]
    }
}
