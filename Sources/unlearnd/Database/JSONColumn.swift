// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// Values of the vocabulary in text columns, as JSON.
enum JSONColumn {
    /// The text of a value; `nil` stays `NULL`.
    static func text(_ value: (some Encodable)?) throws -> String? {
        try value.map { try JSONValue(encoding: $0).serializedString() }
    }

    /// The value in a column; `NULL` is `nil`.
    static func value<T: Decodable>(_ row: Row, _ column: String) throws -> T? {
        guard let text: String = row[column] else { return nil }
        return try decode(text) as T
    }

    /// The value of a text.
    static func decode<T: Decodable>(_ text: String) throws -> T {
        try StrictJSON.parse(text).decode(T.self, allowUnknown: true)
    }
}

/// A stored text that this software cannot read back.
struct UnreadableColumn: Error, CustomStringConvertible {
    var table: String
    var column: String
    var description: String { "the database's column \(table).\(column) holds a value that cannot be read" }
}

extension Row {
    /// A column that names a thing of the vocabulary.
    func named<T>(_ table: String, _ column: String, _ make: (String) -> T?) throws -> T {
        guard let text: String = self[column], let value = make(text) else {
            throw UnreadableColumn(table: table, column: column)
        }
        return value
    }

    /// A time in milliseconds.
    func time(_ column: String) -> Timestamp? {
        (self[column] as Int64?).map { Timestamp(milliseconds: $0) }
    }

    /// A version's number.
    func version(_ column: String) -> VersionNumber? { (self[column] as Int?).flatMap { VersionNumber($0) } }
}
