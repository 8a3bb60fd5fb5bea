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
    /// Where the members are, of an object with more than a few.
    private var positions: [Key: Int] = [:]

    /// Up to so many members it is quicker to look at each than to keep an index.
    private static let few = 64

    /// A key compared byte by byte: Swift strings are equal when they are canonically equivalent, JSON keys
    /// (tokens of a vocabulary, say) only when they are spelled alike.
    private struct Key: Hashable {
        let text: String

        static func == (left: Key, right: Key) -> Bool { isSame(left.text, right.text) }

        /// Strings that are not even equivalent are told apart at once.
        static func isSame(_ left: String, _ right: String) -> Bool {
            left == right && left.utf8.elementsEqual(right.utf8)
        }

        func hash(into hasher: inout Hasher) {
            var text = text
            text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        }
    }

    /// An empty object.
    package init() {}

    /// Members whose keys are known to differ.
    init(distinct members: [Member]) {
        self.members = members
        index()
    }

    package static func == (left: JSONObject, right: JSONObject) -> Bool { left.members == right.members }

    package func hash(into hasher: inout Hasher) { hasher.combine(members) }

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
                    positions = [:]
                    index()
                }
            } else if let newValue {
                add(key, newValue)
            }
        }
    }

    /// Adds a member at the end, if none has its key.
    /// - Returns: Whether it was added.
    /// - Complexity: O(1).
    package mutating func append(_ key: String, _ value: JSONValue) -> Bool {
        guard position(of: key) == nil else { return false }
        add(key, value)
        return true
    }

    private func position(of key: String) -> Int? {
        if members.count > Self.few { return positions[Key(text: key)] }
        for index in members.indices where Key.isSame(members[index].key, key) { return index }
        return nil
    }

    private mutating func add(_ key: String, _ value: JSONValue) {
        members.append(Member(key: key, value: value))
        if positions.isEmpty { return index() }
        positions[Key(text: key)] = members.count - 1
    }

    private mutating func index() {
        guard members.count > Self.few else { return }
        for (index, member) in members.enumerated() { positions[Key(text: member.key)] = index }
    }

    /// The keys, in order.
    package var keys: [String] { members.map(\.key) }
    /// How many members there are.
    package var count: Int { members.count }
    /// Whether there are none.
    package var isEmpty: Bool { members.isEmpty }
}
