// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import GRDB
import Protocol

extension ControlPlane {
    /// `model.list`.
    package func models() async throws(RPCError) -> [ModelSummary] {
        try await answering {
            try await database.read { db in try ModelRow.all(db).map { try Self.summary($0, db) } }
        }
    }

    /// `model.show`: the model, its versions, its head's moves and its head's files.
    /// - Throws: `not_found`.
    package func model(_ name: ModelName) async throws(RPCError) -> ModelDetail {
        try await answering {
            let shares = try await shares(ofRequestsTo: name)
            let targets = configuration.publishTargets
            let days = configuration.expirePreEditDays
            let (detail, head) = try await database.read { db in
                let model = try ModelRow.require(name, db)
                let head = try model.head.flatMap { try VersionRow.find(name, $0, db) }
                return (
                    ModelDetail(
                        summary: try Self.summary(model, db),
                        history: try Self.history(model, preEditDays: days, db),
                        moves: try ModelRow.moves(of: name, db), files: [],
                        requests: try Self.requests(of: model, shares, db),
                        publications: try Self.publications(of: name, targets, db)), head
                )
            }
            guard let head, !head.isGone else { return detail }
            var complete = detail
            complete.files = try Self.files(of: try store.manifest(head.manifest))
            return complete
        }
    }

    /// `model.history`: the versions, oldest first.
    /// - Throws: `not_found`.
    package func history(_ name: ModelName) async throws(RPCError) -> [VersionSummary] {
        try await answering {
            let days = configuration.expirePreEditDays
            return try await database.read {
                try Self.history(try ModelRow.require(name, $0), preEditDays: days, $0)
            }
        }
    }

    /// `model.files`: the files of a version.
    /// - Throws: `not_found`, `gone`, `integrity`.
    package func files(_ reference: VersionReference) async throws(RPCError) -> VersionFiles {
        try await answering {
            let row = try await database.read { try VersionRow.resolve(reference, $0) }
            return VersionFiles(
                model: row.model, version: row.number, digest: row.digest,
                files: try Self.files(of: try store.manifest(row.manifest)))
        }
    }

    /// `model.rollback`: moves the head to any version whose bytes are there, and names the jobs that it undoes.
    ///
    /// Rolling back to the head changes nothing and says so with equal `from` and `to`.
    /// - Throws: `not_found`, `gone`.
    package func rollback(_ params: RollbackParams, peer: Peer) async throws(RPCError) -> HeadMove {
        try await moveHead(
            VersionReference(model: params.model, version: params.to), why: params.reason ?? "rollback",
            use: "rollback", reason: params.reason, peer: peer)
    }

    /// `model.promote`: makes a kept version the head, for the reason given.
    /// - Throws: `not_found`, `gone`, `invalid_params` without a version or a reason.
    package func promote(_ params: PromoteParams, peer: Peer) async throws(RPCError) -> HeadMove {
        guard params.version.version != nil else {
            throw RPCError(
                .invalidParams, "promote needs a version", hint: "write \(params.version.model)@v2",
                field: "version")
        }
        guard !params.reason.allSatisfy(\.isWhitespace), params.reason.utf8.count <= 4096 else {
            throw RPCError(
                .invalidParams, "promote needs a reason of at most 4096 bytes", hint: "give --reason TEXT",
                field: "reason")
        }
        return try await moveHead(
            params.version, why: params.reason, use: "promote", reason: params.reason, peer: peer)
    }

    private func moveHead(
        _ target: VersionReference, why: String, use: String, reason: String?, peer: Peer
    ) async throws(RPCError) -> HeadMove {
        try await answering {
            let restricted = try await restriction(of: target, use, reason: reason, field: "reason", peer)
            let move = try await database.change { change in
                let row = try VersionRow.resolve(target, change.db)
                let model = try ModelRow.require(row.model, change.db)
                guard model.head != row.number else {
                    return HeadMove(
                        model: row.model, from: row.number, to: row.number, time: change.now, who: peer.actor,
                        why: "\(row.number) is the head already", undone: [])
                }
                let undone = try Self.undone(of: row.model, from: model.head, to: row.number, change.db)
                guard
                    let move = try ModelRow.moveHead(
                        row.model, from: model.head, to: row.number, who: peer.actor, why: why,
                        undone: undone, in: change)
                else {
                    throw RPCError(.conflict, "the head of \(row.model) moved meanwhile", hint: "try again")
                }
                try restricted?.record(use, job: nil, peer, in: change)
                FailPoint.insideHeadMove.reach()
                return move
            }
            FailPoint.afterHeadMove.reach()
            // Targets that follow the head have a job now.
            await scheduler.wake()
            return move
        }
    }

    /// The jobs whose results are in the line of `from` and not in that of `to`, oldest first.
    ///
    /// Parents have smaller numbers: the end with the larger one goes back until both meet, so that only what differs is
    /// looked at, however long the line is.
    static func undone(
        of model: ModelName, from: VersionNumber?, to: VersionNumber, _ db: Database
    ) throws -> [JobID] {
        let statement = try db.cachedStatement(
            sql: "SELECT parent, job FROM version WHERE model = ? AND n = ?")
        func step(_ number: VersionNumber) throws -> (parent: VersionNumber?, job: JobID?) {
            let row = try Row.fetchOne(statement, arguments: [model.text, number.number])
            return (
                row?.version("parent").flatMap { $0 < number ? $0 : nil }, row.flatMap { $0["job"] as JobID? }
            )
        }
        var (left, other) = (from, VersionNumber?.some(to))
        var undone: [JobID] = []
        while let number = left, left != other {
            if let kept = other, kept > number {
                other = try step(kept).parent
                continue
            }
            let (parent, job) = try step(number)
            if let job { undone.append(job) }
            left = parent
        }
        return undone.sorted()
    }

    private static func files(of manifest: Manifest) throws -> [FileSummary] {
        manifest.files.map {
            FileSummary(path: $0.path, size: Int64($0.size), sha256: $0.sha256, mode: Int($0.mode & 0o7777))
        }
    }

    private static func summary(_ model: ModelRow, _ db: Database) throws -> ModelSummary {
        let head = try model.head.flatMap { try VersionRow.find(model.name, $0, db) }
        let counts = try Row.fetchOne(
            db,
            sql:
                "SELECT count(*) AS versions, coalesce(sum(candidate AND state = 'live'), 0) AS candidates FROM version WHERE model = ?",
            arguments: [model.name.text])
        return ModelSummary(
            model: model.name, head: model.head, digest: head?.digest, versions: counts?["versions"] ?? 0,
            candidates: counts?["candidates"] ?? 0, bytes: head?.bytes ?? 0, architecture: head?.architecture,
            created: model.created)
    }

    /// - Parameter preEditDays: How long what an accepted job has replaced is kept; `nil` for ever.
    static func history(_ model: ModelRow, preEditDays: Double?, _ db: Database) throws -> [VersionSummary] {
        let holds = try HoldRow.holds(of: model.name, at: .now, db)
        let tags = try HoldRow.tags(of: model.name, db)
        let kinds = try Row.fetchAll(
            db, sql: "SELECT id, kind FROM job WHERE id IN (SELECT job FROM version WHERE model = ?)",
            arguments: [model.name.text]
        ).reduce(into: [JobID: JobKind]()) { $0[$1["id"]] = JobKind(rawValue: $1["kind"]) }
        let versions = try VersionRow.all(of: model.name, db)
        let replaced = try PreEditExpiry.replaced(model, versions, db)
        return versions.map { version in
            let number = version.number
            let since = version.isGone || version.candidate ? nil : replaced[number]
            let isKept = holds[number] != nil || tags[number] != nil
            let expires =
                isKept
                ? nil
                : since.flatMap { since in
                    preEditDays.map {
                        Timestamp(milliseconds: since.milliseconds + Int64($0 * 86_400_000))
                    }
                }
            return VersionSummary(
                version: number, parent: version.parent, job: version.job,
                kind: version.job.flatMap { kinds[$0] }, created: version.created,
                head: number == model.head, candidate: version.candidate, gone: version.isGone,
                digest: version.digest, bytes: version.bytes, note: version.note, hold: holds[number],
                tags: tags[number] ?? [], purged: version.purged,
                retention: version.isGone
                    ? nil : version.candidate ? .candidate : since == nil ? nil : .preEdit,
                expires: expires)
        }
    }
}
