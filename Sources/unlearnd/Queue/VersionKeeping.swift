// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// Which versions are not given up, however old.
enum VersionKeeping {
    /// The versions that unfinished jobs hold or name by number, and those that people hold or have tagged.
    static func references(at now: Timestamp, _ db: Database) throws -> Set<VersionReference> {
        var named: Set<VersionReference> = []
        for row in try Row.fetchAll(db, sql: "SELECT model, n FROM pin") {
            let model = try row.named("pin", "model", ModelName.init(_:))
            named.insert(VersionReference(model: model, version: row.version("n")))
        }
        named.formUnion(try HoldRow.kept(at: now, db))
        for job in try JobRow.all(in: JobState.allCases.filter { !$0.isTerminal }, db) {
            named.formUnion(job.job.spec.references.filter { $0.version != nil })
        }
        return named
    }
}

extension VersionRow {
    /// Gives up a version whose time is over: its bytes become garbage; its row, job, figures and evidence stay.
    func giveUp(_ retention: VersionClass, in change: Change) throws {
        try change.db.execute(
            sql: "UPDATE version SET state = 'gone' WHERE model = ? AND n = ?",
            arguments: [model.text, number.number])
        try change.record(
            .expired, job: job, model: model,
            [
                "version": .string(number.description), "digest": .string(digest.hex),
                "class": .string(retention.rawValue),
            ])
        try change.audit(
            "version.expire", actor: -1,
            [
                "model": .string(model.text), "version": .string(number.description),
                "digest": .string(digest.hex), "class": .string(retention.rawValue),
            ])
    }
}
