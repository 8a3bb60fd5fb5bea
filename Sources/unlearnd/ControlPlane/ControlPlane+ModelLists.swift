// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import GRDB
import Protocol

/// What is told of models and versions, page by page.
extension ControlPlane {
    /// `model.list`.
    package func models(_ query: ModelListParams = ModelListParams()) async throws(RPCError) -> [ModelSummary]
    {
        try await answering {
            try await database.read { db in
                try ModelRow.summaries(after: query.after, limit: PageBudget.entries(query.limit), db)
            }
        }
    }

    /// `model.show`: the model, its versions, its head's moves and its head's files.
    /// - Throws: `not_found`.
    package func model(_ query: ModelShowParams) async throws(RPCError) -> ModelDetail {
        try await answering {
            let name = query.model
            let shares = try await shares(ofRequestsTo: name)
            let targets = configuration.publishTargets
            let days = configuration.expirePreEditDays
            let (detail, head) = try await database.read { db in
                let model = try ModelRow.require(name, db)
                var detail = ModelDetail(
                    summary: try ModelRow.summary(model, db), history: [], moves: [], files: [])
                var next = ModelShowPlace()
                let before = query.before
                if before == nil || before?.version != nil {
                    detail.history = try Self.history(
                        model, before: before?.version, limit: query.limit, preEditDays: days, db)
                    next.version = detail.history.first.flatMap { $0.version.number > 1 ? $0.version : nil }
                }
                if before == nil || before?.move != nil {
                    (detail.moves, next.move) = try ModelRow.moves(
                        of: name, before: before?.move, limit: query.limit, db)
                }
                if before == nil || before?.request != nil {
                    (detail.requests, next.request) = try Self.requests(
                        of: model, before: before?.request, limit: query.limit, shares, db)
                }
                detail.next = next.isEnd ? nil : next
                guard before == nil else { return (detail, VersionRow?.none) }
                detail.publications = try Self.publications(of: name, targets, db)
                detail.removals = try RemovalRecord.all(of: name, db)
                return (detail, try model.head.flatMap { try VersionRow.find(name, $0, db) })
            }
            guard let head, !head.isGone else { return detail }
            var complete = detail
            (complete.files, complete.nextFile) = Self.files(
                of: try store.manifest(head.manifest), limit: query.limit)
            return complete
        }
    }

    /// `model.history`: the versions, oldest first.
    /// - Throws: `not_found`.
    package func history(_ query: ModelHistoryParams) async throws(RPCError) -> [VersionSummary] {
        try await answering {
            let days = configuration.expirePreEditDays
            return try await database.read { db in
                try Self.history(
                    try ModelRow.require(query.model, db), before: query.before, limit: query.limit,
                    preEditDays: days, db)
            }
        }
    }

    /// A page of a model's versions, oldest first.
    ///
    /// - Parameters:
    ///   - before: Only older ones than this.
    ///   - limit: At most so many, the newest.
    ///   - preEditDays: How long what an accepted job has replaced is kept; `nil` for ever.
    static func history(
        _ model: ModelRow, before: VersionNumber? = nil, limit: Int? = nil, preEditDays: Double?,
        _ db: Database
    ) throws -> [VersionSummary] {
        let holds = try HoldRow.holds(of: model.name, at: .now, db)
        let tags = try HoldRow.tags(of: model.name, db)
        var budget = PageBudget(limit: limit)
        let versions = try VersionRow.page(
            of: model.name, before: before, limit: PageBudget.entries(limit), db
        ).prefix { version in
            let number = version.number
            let texts = [version.note, holds[number]?.reason, version.architecture] + (tags[number] ?? [])
            return budget.takes(500 + texts.reduce(0) { $0 + PageBudget.size($1) })
        }
        guard let newest = versions.first?.number, let oldest = versions.last?.number else { return [] }
        let kinds = try VersionRow.kinds(of: model.name, oldest...newest, db)
        let removals = try RemovalRecord.all(of: model.name, db)
        let replaced = try PreEditExpiry.replaced(model, oldest...newest, db)
        return versions.reversed().map { version in
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
                version: number, parent: version.parent, job: version.job, kind: kinds[number],
                created: version.created,
                head: number == model.head, candidate: version.candidate, gone: version.isGone,
                digest: version.digest, bytes: version.bytes, note: version.note, hold: holds[number],
                tags: tags[number] ?? [], purged: version.purged,
                removed: RemovalRecord.of(version, in: removals)?.time,
                retention: version.isGone
                    ? nil : version.candidate ? .candidate : since == nil ? nil : .preEdit,
                expires: expires)
        }
    }
}
