// SPDX-License-Identifier: Apache-2.0

/// The members of a JSON object in the order they were written; keys are unique.
package struct JSONObject: Hashable, Sendable {
    /// One `"key": value` pair.
    package struct Member: Hashable, Sendable {
        package var key: String
        package var value: JSONValue

        package init(key: String, value: JSONValue) {
            self.key = key
            self.value = value
        }
    }

    /// The members, in order.
    package private(set) var members: [Member] = []
    private var positions: [Key: Int] = [:]

    /// A key compared byte by byte: Swift strings are equal when they are canonically equivalent, JSON keys
    /// (tokens of a vocabulary, say) only when they are spelled alike.
    private struct Key: Hashable {
        let text: String

        static func == (left: Key, right: Key) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

        func hash(into hasher: inout Hasher) {
            var text = text
            text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        }
    }

    /// An empty object.
    package init() {}

    /// The value of `key`; assigning `nil` removes the member.
    /// - Complexity: O(1), removal O(*n*).
    package subscript(key: String) -> JSONValue? {
        get { positions[Key(text: key)].map { members[$0].value } }
        set {
            if let position = positions[Key(text: key)] {
                if let newValue {
                    members[position].value = newValue
                } else {
                    members.remove(at: position)
                    positions = [:]
                    for (index, member) in members.enumerated() { positions[Key(text: member.key)] = index }
                }
            } else if let newValue {
                positions[Key(text: key)] = members.count
                members.append(Member(key: key, value: newValue))
            }
        }
    }

    /// The keys, in order.
    package var keys: [String] { members.map(\.key) }
    /// How many members there are.
    package var count: Int { members.count }
    /// Whether there are none.
    package var isEmpty: Bool { members.isEmpty }
}
