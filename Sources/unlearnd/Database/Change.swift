// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// One write transaction: the database, one time for all its rows, and the events that it makes.
package final class Change {
    /// The open transaction.
    package let db: Database
    /// The time of all its rows.
    package let now: Timestamp
    /// What was recorded so far.
    package private(set) var events: [Event] = []
    /// Jobs that have ended in this change and whose dependents were not looked at yet.
    var ended: [JobID] = []
    /// Whether somebody is looking at them.
    var isSettling = false

    /// A change in an open transaction.
    init(db: Database, now: Timestamp) {
        self.db = db
        self.now = now
    }

    /// Adds an event to the durable log; it is published after the commit.
    package func record(
        _ type: EventType, job: JobID? = nil, model: ModelName? = nil,
        _ data: JSONValue = .object(JSONObject())
    ) throws {
        try db.execute(
            cached: "INSERT INTO event(time, type, job, model, data) VALUES (?, ?, ?, ?, ?)",
            arguments: [now.milliseconds, type.rawValue, job, model?.text, data.serializedString()])
        events.append(
            Event(seq: db.lastInsertedRowID, time: now, type: type, job: job, model: model, data: data))
    }

    /// Adds a row to the audit chain. `body` names things and numbers; it never holds personal data.
    package func audit(_ action: String, actor: Int, _ body: JSONValue) throws {
        try AuditTrail.append(action: action, actor: actor, body: body, in: self)
    }
}
