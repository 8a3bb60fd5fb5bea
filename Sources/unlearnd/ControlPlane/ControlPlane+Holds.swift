// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

extension ControlPlane {
    /// `model.hold`: the version is not given up before the hold ends; a second hold takes the first one's place.
    /// - Throws: `not_found`, `gone`, `invalid_params`.
    package func hold(_ params: HoldParams, peer: Peer) async throws(RPCError) -> VersionSummary {
        guard !params.reason.allSatisfy(\.isWhitespace), params.reason.utf8.count <= 4096 else {
            throw RPCError(
                .invalidParams, "a hold needs a reason of at most 4096 bytes", hint: "give --reason TEXT",
                field: "reason")
        }
        return try await keep(params.version, "model.hold", peer) { row, change, details in
            if let until = params.until, until <= change.now {
                throw RPCError(
                    .invalidParams, "the hold would have ended at \(until)", hint: "name a later time",
                    field: "until")
            }
            try change.db.execute(
                sql: """
                    INSERT OR REPLACE INTO hold(model, n, reason, until, who, created) VALUES (?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    row.model.text, row.number.number, params.reason, params.until?.milliseconds, peer.actor,
                    change.now.milliseconds,
                ])
            // The reason is people's free text: the table has it, the chain, which cannot be cleaned, does not.
            details["until"] = params.until.map { .string($0.description) } ?? .null
        }
    }

    /// `model.unhold`.
    /// - Throws: `not_found` also where the version is not held.
    package func unhold(_ version: VersionReference, peer: Peer) async throws(RPCError) -> VersionSummary {
        try await keep(version, "model.unhold", peer) { row, change, _ in
            try change.db.execute(
                sql: "DELETE FROM hold WHERE model = ? AND n = ?",
                arguments: [row.model.text, row.number.number])
            guard change.db.changesCount == 1 else {
                throw RPCError(.notFound, "\(row.model)@\(row.number) is not held")
            }
        }
    }

    /// `model.tag`: a tag names one version of a model; set again, it moves.
    /// - Throws: `not_found`, `gone`, `invalid_params`.
    package func tag(_ params: TagParams, peer: Peer) async throws(RPCError) -> VersionSummary {
        // The alphabet of models' names; what reads like a version's number would be mistaken for one.
        guard ModelName(params.tag) != nil, VersionNumber(params.tag) == nil else {
            throw RPCError(
                .invalidParams, "a tag is written like a model's name and is no version's number",
                hint: "name it, for example, release", field: "tag")
        }
        let isRemoved = params.remove == true
        return try await keep(params.version, "model.tag", peer) { row, change, details in
            if isRemoved {
                try change.db.execute(
                    sql: "DELETE FROM tag WHERE model = ? AND name = ? AND n = ?",
                    arguments: [row.model.text, params.tag, row.number.number])
                guard change.db.changesCount == 1 else {
                    throw RPCError(
                        .notFound, "\(row.model)@\(row.number) has no tag \(params.tag)",
                        hint: "unlearnctl model history \(row.model) shows the tags")
                }
            } else {
                try change.db.execute(
                    sql: "INSERT OR REPLACE INTO tag(model, name, n) VALUES (?, ?, ?)",
                    arguments: [row.model.text, params.tag, row.number.number])
            }
            details["tag"] = .string(params.tag)
            details["removed"] = .bool(isRemoved)
        }
    }

    /// Changes how one version is kept, with its audit row.
    private func keep(
        _ version: VersionReference, _ action: String, _ peer: Peer,
        _ body: @escaping @Sendable (VersionRow, Change, inout JSONObject) throws -> Void
    ) async throws(RPCError) -> VersionSummary {
        guard version.version != nil else {
            throw RPCError(
                .invalidParams, "name the version: \(version.model)@v1",
                hint: "unlearnctl model history \(version.model) lists the versions", field: "version")
        }
        let days = configuration.expirePreEditDays
        return try await answering {
            try await database.change { change in
                let row = try VersionRow.resolve(version, change.db)
                var details = JSONObject()
                try body(row, change, &details)
                details["model"] = .string(row.model.text)
                details["version"] = .string(row.number.description)
                try change.audit(action, actor: peer.actor, .object(details))
                let history = try Self.history(
                    try ModelRow.require(row.model, change.db),
                    before: VersionNumber(row.number.number + 1), limit: 1, preEditDays: days, change.db)
                guard let summary = history.first, summary.version == row.number else {
                    throw RPCError(.notFound, "there is no \(version)")
                }
                return summary
            }
        }
    }
}
