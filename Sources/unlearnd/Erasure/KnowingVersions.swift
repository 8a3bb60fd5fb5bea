// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// Finds the versions that know what an unlearning job was to forget, in all models.
///
/// A version knows if it was trained on any of the rows; if no version behind the job's base is recorded to have been,
/// the beginning of that line is held to know. What was made from a version that knows, knows too: descendants,
/// siblings, refused candidates, versions of other models, differences of task vectors. What an accepted unlearning of
/// all the rows made, and what came of that, does not. The version that a task vector was taken from to unlearn knows.
struct KnowingVersions {
    /// One of them.
    struct Found {
        var row: VersionRow
        var cause: PurgedVersion.Cause
    }

    private let rows: [VersionReference: VersionRow]
    private let jobs: [JobID: Job]
    private let origins: [VersionReference: [VersionReference]]
    /// What task vectors were made with to unlearn: versions tuned to know.
    private let tuned: [JobID: VersionReference]

    /// Reads what is recorded of all versions.
    init(_ db: Database) throws {
        let rows = try VersionRow.everything(db).reduce(into: [VersionReference: VersionRow]()) {
            $0[$1.reference] = $1
        }
        let jobs = try JobRow.makers(db)
        self.rows = rows
        self.jobs = jobs
        var origins: [VersionReference: [VersionReference]] = [:]
        for (reference, row) in rows {
            origins[reference] = try Self.origins(of: row, row.job.flatMap { jobs[$0] }, db)
        }
        self.origins = origins
        tuned = try jobs.values.reduce(into: [:]) { found, job in
            guard job.kind == .taskVector, let operand = job.spec.parameters?.finetuned else { return }
            found[job.id] = try Self.bound(operand, job, db)
        }
    }

    /// The versions that know what `job` was to forget, by model and number; also those whose bytes are gone already.
    ///
    /// - Parameter shares: Which datasets have rows of the job's forget set.
    func knowing(_ job: Job, _ shares: [Digest: SharedRows.Share]) -> [Found] {
        func made(_ row: VersionRow) -> Job? { row.job.flatMap { jobs[$0] } }
        func isClean(_ row: VersionRow) -> Bool {
            guard !row.candidate, let made = made(row), made.kind.unlearns else { return false }
            return made.id == job.id || made.spec.forget.flatMap { shares[$0]?.isWhole } == true
        }
        let learned = rows.values.filter { row in
            guard !isClean(row), let made = made(row), made.kind.trains else { return false }
            return made.spec.retain.map { shares[$0] != nil } == true
        }
        var causes: [VersionReference: PurgedVersion.Cause] = [:]
        for row in learned { causes[row.reference] = .learned }
        if let tuned = tuned[job.id] { causes[tuned] = .learned }
        if let model = job.model, let base = job.base {
            let line = ancestry(of: VersionReference(model: model, version: base))
            let isTold = learned.contains { line.contains($0.reference) }
            if !isTold {
                for reference in line where origins[reference, default: []].isEmpty {
                    causes[reference] = .learned
                }
            }
        }
        var children: [VersionReference: [VersionReference]] = [:]
        for (reference, behind) in origins {
            for origin in behind { children[origin, default: []].append(reference) }
        }
        var byDigest: [Digest: [VersionReference]] = [:]
        for row in rows.values { byDigest[row.digest, default: []].append(row.reference) }
        var open = Array(causes.keys)
        while let next = open.popLast() {
            guard let row = rows[next] else { continue }
            for twin in byDigest[row.digest, default: []] where causes[twin] == nil {
                causes[twin] = .identical
                open.append(twin)
            }
            for child in children[next, default: []] {
                guard causes[child] == nil, let row = rows[child], !isClean(row) else { continue }
                causes[child] = row.candidate ? .candidate : .derived
                open.append(child)
            }
        }
        return causes.compactMap { reference, cause in
            rows[reference].map { Found(row: $0, cause: cause) }
        }.sorted {
            ($0.row.model.text, $0.row.number.number) < ($1.row.model.text, $1.row.number.number)
        }
    }

    /// The version and everything that it was made from.
    private func ancestry(of version: VersionReference) -> Set<VersionReference> {
        var found: Set<VersionReference> = []
        var open = [version]
        while let next = open.popLast() {
            guard rows[next] != nil, found.insert(next).inserted else { continue }
            open += origins[next, default: []]
        }
        return found
    }

    /// The versions whose weights went into a version.
    private static func origins(of row: VersionRow, _ job: Job?, _ db: Database) throws -> [VersionReference]
    {
        let parent = row.parent.map { VersionReference(model: row.model, version: $0) }
        guard let job else { return [parent].compactMap(\.self) }
        func named(_ member: String) -> VersionReference? {
            job.result?[member]?.stringValue.flatMap { VersionReference($0) }
        }
        switch job.kind {
        case .import, .create: return []
        case .retrain:
            return job.spec.parameters?.fresh == true ? [] : [named("from") ?? parent].compactMap(\.self)
        case .exact: return [named("start")].compactMap(\.self)
        case .taskVector:
            // θ − s(τ − β) gives τ or β to whoever has the rest.
            let operands = [job.spec.parameters?.finetuned, job.spec.parameters?.base].compactMap(\.self)
            return try [parent].compactMap(\.self) + operands.map { try bound($0, job, db) }
        default: return [parent].compactMap(\.self)
        }
    }

    /// What a reference without a number meant when the job began.
    private static func bound(_ reference: VersionReference, _ job: Job, _ db: Database) throws
        -> VersionReference
    {
        guard reference.version == nil, let started = job.started else { return reference }
        let head = try Row.fetchOne(
            db, sql: "SELECT target FROM head_move WHERE model = ? AND time <= ? ORDER BY id DESC LIMIT 1",
            arguments: [reference.model.text, started.milliseconds])
        return VersionReference(model: reference.model, version: head?.version("target"))
    }
}
