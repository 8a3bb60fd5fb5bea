// SPDX-License-Identifier: Apache-2.0

/// Makes the ``JSONValue`` of an `Encodable` value, without writing text in between.
///
/// Members come in the order of their keys' UTF-8 bytes. Numbers become what their shortest decimal spelling reads back as:
/// a whole double is an integer, and a `Float` is the double next to its own spelling, not to its bits.
struct JSONValueEncoder: Encoder {
    private let slot: Slot
    private let trail: CodingTrail?
    var codingPath: [any CodingKey] { CodingTrail.path(trail) }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    /// The JSON form of a value.
    /// - Throws: `EncodingError`, for a number that is not finite.
    static func encode(_ value: some Encodable) throws -> JSONValue {
        let slot = Slot()
        try slot.put(value, at: nil)
        return slot.value
    }

    fileprivate init(_ slot: Slot, at trail: CodingTrail?) {
        (self.slot, self.trail) = (slot, trail)
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        KeyedEncodingContainer(Keyed<Key>(members: slot.object(), trail: trail))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        Unkeyed(elements: slot.array(), trail: trail)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        Single(slot: slot, trail: trail)
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
    func put<T: Encodable>(_ value: T, at trail: @autoclosure () -> CodingTrail?) throws {
        if T.self == String.self, let text = value as? String {
            put(.string(text))
        } else if T.self == Double.self, let number = value as? Double {
            try put(number: number, at: trail())
        } else if T.self == JSONValue.self, let same = value as? JSONValue {
            put(same)
        } else {
            try value.encode(to: JSONValueEncoder(self, at: trail()))
        }
    }

    func put(integer value: some BinaryInteger) {
        put(Int64(exactly: value).map(JSONValue.integer) ?? .number(Double(value)))
    }

    func put(number value: Double, at trail: @autoclosure () -> CodingTrail?) throws {
        guard value.isFinite else {
            throw EncodingError.invalidValue(
                value,
                .init(
                    codingPath: CodingTrail.path(trail()), debugDescription: "\(value) is not a JSON number"))
        }
        // Beyond this a double is spelled with an exponent.
        guard value.magnitude <= 0x1p53, value != 0 || value.sign == .plus, let whole = Int64(exactly: value)
        else {
            return put(.number(value))
        }
        put(.integer(whole))
    }

    func put(number value: Float, at trail: @autoclosure () -> CodingTrail?) throws {
        try put(number: Double(value.description) ?? Double(value), at: trail())
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

    /// Sorted, which keeps the order of equals; of a key that was written twice the last value counts.
    var object: JSONObject {
        var members: [JSONObject.Member] = []
        members.reserveCapacity(slots.count)
        for (key, slot) in slots.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
            // Between sorted neighbours, those that do not precede each other are the same.
            if let last = members.last, !last.key.utf8.lexicographicallyPrecedes(key.utf8) {
                members.removeLast()
            }
            members.append(JSONObject.Member(key: key, value: slot.value))
        }
        return JSONObject(distinct: members)
    }
}

private struct Keyed<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let members: Members
    let trail: CodingTrail?
    var codingPath: [any CodingKey] { CodingTrail.path(trail) }

    private func slot(_ key: some CodingKey) -> Slot { members.member(key.stringValue) }

    mutating func encodeNil(forKey key: Key) throws { slot(key).put(.null) }
    mutating func encode(_ value: Bool, forKey key: Key) throws { slot(key).put(.bool(value)) }
    mutating func encode(_ value: String, forKey key: Key) throws { slot(key).put(.string(value)) }
    mutating func encode(_ value: Double, forKey key: Key) throws {
        try slot(key).put(number: value, at: CodingTrail(trail, key))
    }
    mutating func encode(_ value: Float, forKey key: Key) throws {
        try slot(key).put(number: value, at: CodingTrail(trail, key))
    }
    mutating func encode(_ value: Int, forKey key: Key) throws { slot(key).put(.integer(Int64(value))) }
    mutating func encode(_ value: Int64, forKey key: Key) throws { slot(key).put(.integer(value)) }
    mutating func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
        try slot(key).put(value, at: CodingTrail(trail, key))
    }
    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> { nested(key).container(keyedBy: type) }
    mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        nested(key).unkeyedContainer()
    }
    mutating func superEncoder() -> any Encoder {
        JSONValueEncoder(members.member("super"), at: trail)
    }
    mutating func superEncoder(forKey key: Key) -> any Encoder { nested(key) }

    private func nested(_ key: Key) -> JSONValueEncoder {
        JSONValueEncoder(slot(key), at: CodingTrail(trail, key))
    }
}

private struct Unkeyed: UnkeyedEncodingContainer {
    let elements: Elements
    let trail: CodingTrail?
    var codingPath: [any CodingKey] { CodingTrail.path(trail) }
    var count: Int { elements.slots.count }

    mutating func encodeNil() throws { elements.next().put(.null) }
    mutating func encode<T: Encodable>(_ value: T) throws {
        try elements.next().put(value, at: trail)
    }
    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) -> KeyedEncodingContainer<Nested> { nested.container(keyedBy: type) }
    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { nested.unkeyedContainer() }
    mutating func superEncoder() -> any Encoder { nested }

    private var nested: JSONValueEncoder { JSONValueEncoder(elements.next(), at: trail) }
}

private struct Single: SingleValueEncodingContainer {
    let slot: Slot
    let trail: CodingTrail?
    var codingPath: [any CodingKey] { CodingTrail.path(trail) }

    mutating func encodeNil() throws { slot.put(.null) }
    mutating func encode(_ value: Bool) throws { slot.put(.bool(value)) }
    mutating func encode(_ value: String) throws { slot.put(.string(value)) }
    mutating func encode(_ value: Double) throws { try slot.put(number: value, at: trail) }
    mutating func encode(_ value: Float) throws { try slot.put(number: value, at: trail) }
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
        try slot.put(value, at: trail)
    }
}
