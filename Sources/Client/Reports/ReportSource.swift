// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Everything that a report is made of, as the daemon gave it.
package struct ReportSource {
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
    package init(_ id: JobID, _ connection: Connection, deadline: Deadline? = nil) throws(ClientError) {
        raw = try connection.call(.jobShow, JobParams(job: id), deadline: deadline)
        job = try Connection.decode(Job.self, raw)
        if let model = job.model { versions = try connection.versions(of: model) }
        for set in [job.spec.forget, job.spec.retain, job.spec.holdout] {
            guard let set,
                case .success(let value) = try connection.callReturningError(
                    .datasetShow, DatasetParams(dataset: set.hex))
            else { continue }
            datasets[set] = try Connection.decode(DatasetSummary.self, value)
        }
        if let sweep = job.spec.sweep {
            family = try connection.call(
                .jobList, JobListParams(all: true, limit: SweepPlace.most, sweep: sweep.family),
                as: [Job].self, deadline: deadline)
        }
        // An older daemon keeps none.
        guard
            case .success(let list) = try connection.callReturningError(
                .jobEvidence, JobEvidenceParams(job: id))
        else { return }
        for piece in try Connection.decode(JobEvidenceResult.self, list).pieces {
            let whole = try connection.call(
                .jobEvidence, JobEvidenceParams(job: id, name: piece.name), as: JobEvidenceResult.self,
                deadline: deadline)
            if let first = whole.pieces.first { evidence[piece.name] = first }
        }
    }

    /// The version that the job started from.
    var base: VersionSummary? { versions.first { $0.version == job.base } }
    /// The version that the job made.
    var result: VersionSummary? { job.version.flatMap { number in versions.first { $0.version == number } } }

    /// The same without the texts of rows and answers, for readers whom the daemon does not know.
    package var withoutTexts: ReportSource {
        var source = self
        for (name, piece) in evidence where piece.texts != nil {
            source.evidence[name]?.texts = nil
            source.evidence[name]?.withheld = true
        }
        return source
    }

    /// The figures of one role as they came.
    func figures(_ role: String) -> JSONObject? { raw["evaluation"]?[role]?.objectValue }

    /// The whole as JSON.
    package func json(limits: [String]) -> JSONValue {
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
