// SPDX-License-Identifier: Apache-2.0

import GRDB

// Statements that a connection prepares once and keeps: for SQL with a fixed text. Preparing a statement costs more than
// running most of those here. Memory that is given back in quiet times includes them.

extension Database {
    /// Runs one statement.
    func execute(cached sql: String, arguments: StatementArguments = []) throws {
        try cachedStatement(sql: sql).execute(arguments: arguments)
    }
}

extension Row {
    /// All rows.
    static func fetchAll(_ db: Database, cached sql: String, arguments: StatementArguments = []) throws
        -> [Row]
    {
        try fetchAll(db.cachedStatement(sql: sql), arguments: arguments)
    }

    /// The first row.
    static func fetchOne(_ db: Database, cached sql: String, arguments: StatementArguments = []) throws
        -> Row?
    {
        try fetchOne(db.cachedStatement(sql: sql), arguments: arguments)
    }
}

extension DatabaseValueConvertible where Self: StatementColumnConvertible {
    /// The first column of all rows.
    static func fetchAll(_ db: Database, cached sql: String, arguments: StatementArguments = []) throws
        -> [Self]
    {
        try fetchAll(db.cachedStatement(sql: sql), arguments: arguments)
    }

    /// The first column of the first row.
    static func fetchOne(_ db: Database, cached sql: String, arguments: StatementArguments = []) throws
        -> Self?
    {
        try fetchOne(db.cachedStatement(sql: sql), arguments: arguments)
    }
}
