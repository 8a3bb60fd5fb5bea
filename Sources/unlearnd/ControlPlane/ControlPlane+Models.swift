// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import GRDB
import Protocol

extension ControlPlane {
    /// `model.files`: the files of a version, page by page.
    /// - Throws: `not_found`, `gone`, `integrity`.
    package func files(_ query: ModelFilesParams) async throws(RPCError) -> VersionFiles {
        try await answering {
            let row = try await database.read { try VersionRow.resolve(query.version, $0) }
            let (files, next) = Self.files(
                of: try store.manifest(row.manifest), after: query.after, limit: query.limit)
            return VersionFiles(
                model: row.model, version: row.number, digest: row.digest, files: files, next: next)
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
                let undone = try VersionLine.undone(
                    of: row.model, from: model.head, to: row.number, change.db)
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

    /// A page of a version's files, and the path after which the next one begins, if there is one.
    ///
    /// - Parameters:
    ///   - after: Only files whose paths come after this one, by their bytes.
    ///   - limit: At most so many.
    static func files(
        of manifest: Manifest, after: String? = nil, limit: Int? = nil
    ) -> (page: [FileSummary], next: String?) {
        // The manifest has them in this order.
        let rest = manifest.files.drop { file in
            after.map { !$0.utf8.lexicographicallyPrecedes(file.path.utf8) } ?? false
        }
        var budget = PageBudget(limit: limit)
        let page = rest.prefix { budget.takes(200 + PageBudget.size($0.path)) }
        return (
            page.map {
                FileSummary(
                    path: $0.path, size: Int64($0.size), sha256: $0.sha256, mode: Int($0.mode & 0o7777))
            }, page.count < rest.count ? page.last?.path : nil
        )
    }
}
