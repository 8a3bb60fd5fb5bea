// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// What the removal of a model takes out of use, and what stands in its way.
///
/// Versions of other models are never in the way: each is whole, whatever it was made of, and what another needs of the
/// objects is no garbage.
struct RemovalPlan {
    var model: ModelName
    /// The versions whose bytes are there, oldest first.
    var versions: [VersionRow]
    /// The newest version, whether or not its bytes are there.
    var last: VersionNumber
    var obstacles: [PurgeObstacle]

    /// The plan for a model.
    /// - Throws: `not_found`, `gone` for a model that was removed.
    init(_ name: ModelName, now: Timestamp, _ db: Database) throws {
        model = try ModelRow.require(name, db).name
        let all = try VersionRow.all(of: name, db)
        if let removal = try RemovalRecord.all(of: name, db).last, try !ModelRow.isInUse(name, db) {
            throw RPCError(
                .gone, "model \(name) was removed on \(removal.time)",
                hint: "unlearnctl model show \(name) says why")
        }
        guard let last = all.last?.number else {
            throw RPCError(.notFound, "model \(name) has no version")
        }
        self.last = last
        versions = all.filter { !$0.isGone }
        obstacles = []
        for number in try HoldRow.holds(of: name, at: now, db).keys.sorted() {
            obstacles.append(
                PurgeObstacle(
                    "\(name)@\(number) is held",
                    hint: "an administrator ends the hold: unlearnctl model unhold \(name)@\(number)"))
        }
        for row in try PublicationRow.all(of: name, db) {
            obstacles.append(
                PurgeObstacle(
                    "\(name) is published to \(row.target)",
                    hint: "first: unlearnctl model publish \(name) \(row.target) --off"))
        }
        let pinned = Set(
            try JobID.fetchAll(
                db, sql: "SELECT DISTINCT job FROM pin WHERE model = ?", arguments: [name.text]))
        for row in try JobRow.all(in: JobState.allCases.filter { !$0.isTerminal }, db) {
            let isNamed = pinned.contains(row.id) || Self.models(of: row.job).contains(name)
            guard isNamed || row.job.kind.copiesStore && row.state.isActive else { continue }
            obstacles.append(
                PurgeObstacle(
                    "job \(row.id) is \(row.state.rawValue) and \(isNamed ? "uses \(name)" : "copies the store")",
                    hint: "wait for it, or: unlearnctl cancel \(row.id)"))
        }
    }

    /// The models that a job names, in whatever part.
    private static func models(of job: Job) -> Set<ModelName> {
        Set(job.spec.references.map(\.model) + [job.model].compactMap(\.self))
    }

    /// Takes the model out of use: head, versions, tags, record, event and audit, all in this transaction.
    func record(reason: String, actor: Int, in change: Change) throws -> RemoveModelResult {
        let removal = ModelRemoval(time: change.now, who: actor, reason: reason, last: last)
        let db = change.db
        try db.execute(
            sql: "UPDATE version SET state = 'gone' WHERE model = ? AND state = 'live'",
            arguments: [model.text])
        try db.execute(
            sql: "UPDATE model SET head = NULL, generation = generation + 1 WHERE name = ?",
            arguments: [model.text])
        // Later versions under the name may have the tags.
        try db.execute(sql: "DELETE FROM tag WHERE model = ?", arguments: [model.text])
        try RemovalRecord.add(removal, of: model, in: change)
        let data: JSONValue = [
            "versions": .array(versions.map { .string($0.number.description) }),
            "last": .string(last.description),
        ]
        try change.record(.removed, model: model, data)
        // The reason is people's free text: the record has it, the chain, which cannot be cleaned, does not.
        var body = data.objectValue ?? JSONObject()
        body["model"] = .string(model.text)
        try change.audit("model.remove", actor: actor, .object(body))
        return RemoveModelResult(
            model: model, versions: versions.map(\.number), removal: removal,
            backups: try BackupTrail.holding(nil, db))
    }
}
