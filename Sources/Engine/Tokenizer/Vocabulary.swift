// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The tokens of a model as its file writes them, and their ids.
struct Vocabulary: Sendable {
    let entries: [(token: String, id: Int32)]
    let table: ByteStringTable

    init(_ model: TokenizerFields, largestID: Int32) throws(TokenizerError) {
        let vocabulary = try model.fields("vocab")
        var entries: [(token: String, id: Int32)] = []
        entries.reserveCapacity(vocabulary.object.count)
        var table = ByteStringTable(minimumCapacity: vocabulary.object.count)
        for member in vocabulary.object.members {
            guard case .integer(let number) = member.value, number >= 0, number <= Int64(largestID) else {
                throw .invalid(
                    "\(vocabulary.place)[“\(member.key)”] is not an id between 0 and \(largestID)")
            }
            entries.append((member.key, Int32(number)))
            table.insert(Array(member.key.utf8).span, Int32(number))
        }
        guard !entries.isEmpty else { throw .invalid("\(vocabulary.place) is empty") }
        self.entries = entries
        self.table = table
    }

    var count: Int { entries.count }

    func id(of token: String) -> Int32? { table.find(Array(token.utf8)) }
}
