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
    /// Where each key stands, once there are more than ``few``.
    private var positions: [Key: Int] = [:]

    /// So many members are looked through one by one: quicker than a table, and most objects have no more.
    private static let few = 12

    /// A key compared byte by byte: Swift strings are equal when they are canonically equivalent, JSON keys
    /// (tokens of a vocabulary, say) only when they are spelled alike.
    private struct Key: Hashable {
        let text: String

        // What is spelled alike is equivalent too, and most that differ are told apart at once by that.
        static func == (left: Key, right: Key) -> Bool {
            left.text == right.text && left.text.utf8.elementsEqual(right.text.utf8)
        }

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
        get { position(of: key).map { members[$0].value } }
        set {
            if let position = position(of: key) {
                if let newValue {
                    members[position].value = newValue
                } else {
                    members.remove(at: position)
                    index()
                }
            } else if let newValue {
                members.append(Member(key: key, value: newValue))
                if members.count == Self.few + 1 {
                    index()
                } else if members.count > Self.few {
                    positions[Key(text: key)] = members.count - 1
                }
            }
        }
    }

    private func position(of key: String) -> Int? {
        let key = Key(text: key)
        return members.count > Self.few
            ? positions[key] : members.firstIndex { Key(text: $0.key) == key }
    }

    private mutating func index() {
        positions = [:]
        guard members.count > Self.few else { return }
        for (index, member) in members.enumerated() { positions[Key(text: member.key)] = index }
    }

    package static func == (left: JSONObject, right: JSONObject) -> Bool { left.members == right.members }

    package func hash(into hasher: inout Hasher) { hasher.combine(members) }

    /// The keys, in order.
    package var keys: [String] { members.map(\.key) }
    /// How many members there are.
    package var count: Int { members.count }
    /// Whether there are none.
    package var isEmpty: Bool { members.isEmpty }
}
