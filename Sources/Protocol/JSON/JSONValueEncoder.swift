// SPDX-License-Identifier: Apache-2.0

/// Makes the ``JSONValue`` of an `Encodable` value, without writing text in between.
///
/// Members come in the order of their keys' UTF-8 bytes. Numbers become what their shortest decimal spelling reads back as:
/// a whole double is an integer, and a `Float` is the double next to its own spelling, not to its bits.
struct JSONValueEncoder: Encoder {
    private let slot: Slot
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    /// The JSON form of a value.
    /// - Throws: `EncodingError`, for a number that is not finite.
    static func encode(_ value: some Encodable) throws -> JSONValue {
        let slot = Slot()
        try slot.put(value, path: [])
        return slot.value
    }

    fileprivate init(_ slot: Slot, path: [any CodingKey]) {
        self.slot = slot
        codingPath = path
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        KeyedEncodingContainer(Keyed<Key>(members: slot.object(), codingPath: codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        Unkeyed(elements: slot.array(), codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        Single(slot: slot, codingPath: codingPath)
    }
}

/// The place of one value that is being written.
private final class Slot {
    private enum Content {
        case value(JSONValue)
        case array(Elements)
        case object(Members)
    }
    private var content = Content.object(Members())

    var value: JSONValue {
        switch content {
        case .value(let value): value
        case .array(let elements): .array(elements.slots.map(\.value))
        case .object(let members): .object(members.object)
        }
    }

    /// The members of the object that stands here; a second container of one value goes on with the first.
    func object() -> Members {
        if case .object(let members) = content { return members }
        let members = Members()
        content = .object(members)
        return members
    }

    func array() -> Elements {
        if case .array(let elements) = content { return elements }
        let elements = Elements()
        content = .array(elements)
        return elements
    }

    func put(_ value: JSONValue) { content = .value(value) }

    /// Types are compared and not cast: this is what every value goes through.
    func put<T: Encodable>(_ value: T, path: @autoclosure () -> [any CodingKey]) throws {
        if T.self == String.self, let text = value as? String {
            put(.string(text))
        } else if T.self == Double.self, let number = value as? Double {
            try put(number: number, path: path())
        } else if T.self == JSONValue.self, let same = value as? JSONValue {
            put(same)
        } else {
            try value.encode(to: JSONValueEncoder(self, path: path()))
        }
    }

    func put(integer value: some BinaryInteger) {
        put(Int64(exactly: value).map(JSONValue.integer) ?? .number(Double(value)))
    }

    func put(number value: Double, path: @autoclosure () -> [any CodingKey]) throws {
        guard value.isFinite else {
            throw EncodingError.invalidValue(
                value, .init(codingPath: path(), debugDescription: "\(value) is not a JSON number"))
        }
        // Beyond this a double is spelled with an exponent.
        guard value.magnitude <= 0x1p53, value != 0 || value.sign == .plus, let whole = Int64(exactly: value)
        else {
            return put(.number(value))
        }
        put(.integer(whole))
    }

    func put(number value: Float, path: @autoclosure () -> [any CodingKey]) throws {
        try put(number: Double(value.description) ?? Double(value), path: path())
    }
}

private final class Elements {
    var slots: [Slot] = []

    func next() -> Slot {
        let slot = Slot()
        slots.append(slot)
        return slot
    }
}

private final class Members {
    private var slots: [(key: String, slot: Slot)] = []

    func member(_ key: String) -> Slot {
        let slot = Slot()
        slots.append((key, slot))
        return slot
    }

    /// Sorted; of a key that was written twice the last value counts.
    var object: JSONObject {
        var object = JSONObject()
        let sorted = slots.enumerated().sorted {
            let (left, right) = ($0.element.key.utf8, $1.element.key.utf8)
            if left.lexicographicallyPrecedes(right) { return true }
            return !right.lexicographicallyPrecedes(left) && $0.offset < $1.offset
        }
        for (_, member) in sorted { object[member.key] = member.slot.value }
        return object
    }
}

private struct Keyed<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let members: Members
    let codingPath: [any CodingKey]

    private func slot(_ key: some CodingKey) -> Slot { members.member(key.stringValue) }

    mutating func encodeNil(forKey key: Key) throws { slot(key).put(.null) }
    mutating func encode(_ value: Bool, forKey key: Key) throws { slot(key).put(.bool(value)) }
    mutating func encode(_ value: String, forKey key: Key) throws { slot(key).put(.string(value)) }
    mutating func encode(_ value: Double, forKey key: Key) throws {
        try slot(key).put(number: value, path: codingPath + [key])
    }
    mutating func encode(_ value: Float, forKey key: Key) throws {
        try slot(key).put(number: value, path: codingPath + [key])
    }
    mutating func encode(_ value: Int, forKey key: Key) throws { slot(key).put(.integer(Int64(value))) }
    mutating func encode(_ value: Int64, forKey key: Key) throws { slot(key).put(.integer(value)) }
    mutating func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
        try slot(key).put(value, path: codingPath + [key])
    }
    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> { nested(key).container(keyedBy: type) }
    mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        nested(key).unkeyedContainer()
    }
    mutating func superEncoder() -> any Encoder {
        JSONValueEncoder(members.member("super"), path: codingPath)
    }
    mutating func superEncoder(forKey key: Key) -> any Encoder { nested(key) }

    private func nested(_ key: Key) -> JSONValueEncoder {
        JSONValueEncoder(slot(key), path: codingPath + [key])
    }
}

private struct Unkeyed: UnkeyedEncodingContainer {
    let elements: Elements
    let codingPath: [any CodingKey]
    var count: Int { elements.slots.count }

    mutating func encodeNil() throws { elements.next().put(.null) }
    mutating func encode<T: Encodable>(_ value: T) throws {
        let path = codingPath
        try elements.next().put(value, path: path)
    }
    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) -> KeyedEncodingContainer<Nested> { nested.container(keyedBy: type) }
    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { nested.unkeyedContainer() }
    mutating func superEncoder() -> any Encoder { nested }

    private var nested: JSONValueEncoder { JSONValueEncoder(elements.next(), path: codingPath) }
}

private struct Single: SingleValueEncodingContainer {
    let slot: Slot
    let codingPath: [any CodingKey]

    mutating func encodeNil() throws { slot.put(.null) }
    mutating func encode(_ value: Bool) throws { slot.put(.bool(value)) }
    mutating func encode(_ value: String) throws { slot.put(.string(value)) }
    mutating func encode(_ value: Double) throws { try slot.put(number: value, path: codingPath) }
    mutating func encode(_ value: Float) throws { try slot.put(number: value, path: codingPath) }
    mutating func encode(_ value: Int) throws { slot.put(integer: value) }
    mutating func encode(_ value: Int8) throws { slot.put(integer: value) }
    mutating func encode(_ value: Int16) throws { slot.put(integer: value) }
    mutating func encode(_ value: Int32) throws { slot.put(integer: value) }
    mutating func encode(_ value: Int64) throws { slot.put(integer: value) }
    mutating func encode(_ value: UInt) throws { slot.put(integer: value) }
    mutating func encode(_ value: UInt8) throws { slot.put(integer: value) }
    mutating func encode(_ value: UInt16) throws { slot.put(integer: value) }
    mutating func encode(_ value: UInt32) throws { slot.put(integer: value) }
    mutating func encode(_ value: UInt64) throws { slot.put(integer: value) }
    mutating func encode<T: Encodable>(_ value: T) throws {
        let path = codingPath
        try slot.put(value, path: path)
    }
}
