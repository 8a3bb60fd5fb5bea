// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// What a move of a head did.
enum HeadMoveText {
    /// Shows the daemon's answer.
    static func show(_ raw: JSONValue, _ output: Output) throws(ClientError) {
        if output.isJSON { return output.json(raw) }
        let move = try Connection.decode(HeadMove.self, raw)
        if output.isQuiet { return output.data("\(move.model)@\(move.to)") }
        if move.from == move.to { return output.data("\(move.model)@\(move.to) is the head already") }
        output.data("\(move.model)@\(move.to) is the head now" + (move.from.map { " (was \($0))" } ?? ""))
        if !move.undone.isEmpty {
            let jobs = move.undone.map(String.init).joined(separator: ", ")
            output.data("no longer in the head: what job\(move.undone.count == 1 ? "" : "s") \(jobs) did")
        }
    }
}
