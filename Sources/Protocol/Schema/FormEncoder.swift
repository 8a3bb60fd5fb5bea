// SPDX-License-Identifier: Apache-2.0

/// Takes everything that a value writes, and notes the form of it.
struct FormEncoder: Encoder {
    let builder: SchemaBuilder
    let shape: SchemaShape
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        shape.setObject()
        return KeyedEncodingContainer(Keyed<Key>(builder: builder, shape: shape))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        Unkeyed(builder: builder, elements: shape.setArray())
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { Single(builder: builder, shape: shape) }
}

private struct Keyed<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let builder: SchemaBuilder
    let shape: SchemaShape
    var codingPath: [any CodingKey] { [] }

    mutating func encodeNil(forKey key: Key) throws {
        shape.member(key.stringValue, isRequired: true).isNullable = true
    }
    mutating func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
        try builder.describe(value, shape.member(key.stringValue, isRequired: true))
    }
    mutating func encodeIfPresent<T: Encodable>(_ value: T?, forKey key: Key) throws {
        let member = shape.member(key.stringValue, isRequired: false)
        if let value { return try builder.describe(value, member) }
        guard let type = T.self as? any Codable.Type else {
            throw SchemaBuilder.Fault(description: "\(key.stringValue) has no value to learn its form from")
        }
        try builder.describe(type, member)
    }
    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> { nested(key).container(keyedBy: type) }
    mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        nested(key).unkeyedContainer()
    }
    mutating func superEncoder() -> any Encoder { FormEncoder(builder: builder, shape: shape) }
    mutating func superEncoder(forKey key: Key) -> any Encoder { nested(key) }

    // One for each type that has a method of its own: those would come before the general one.
    mutating func encodeIfPresent(_ value: Bool?, forKey key: Key) throws { try scalar("boolean", key) }
    mutating func encodeIfPresent(_ value: String?, forKey key: Key) throws { try scalar("string", key) }
    mutating func encodeIfPresent(_ value: Double?, forKey key: Key) throws { try scalar("number", key) }
    mutating func encodeIfPresent(_ value: Float?, forKey key: Key) throws { try scalar("number", key) }
    mutating func encodeIfPresent(_ value: Int?, forKey key: Key) throws { try scalar("integer", key) }
    mutating func encodeIfPresent(_ value: Int64?, forKey key: Key) throws { try scalar("integer", key) }
    mutating func encodeIfPresent(_ value: UInt64?, forKey key: Key) throws {
        shape.member(key.stringValue, isRequired: false).setScalar(["type": "integer", "minimum": 0])
    }

    private func scalar(_ type: String, _ key: Key) throws {
        shape.member(key.stringValue, isRequired: false).setScalar(["type": .string(type)])
    }

    private func nested(_ key: Key) -> FormEncoder {
        FormEncoder(builder: builder, shape: shape.member(key.stringValue, isRequired: true))
    }
}

private struct Unkeyed: UnkeyedEncodingContainer {
    let builder: SchemaBuilder
    let elements: SchemaShape
    var count = 0
    var codingPath: [any CodingKey] { [] }

    mutating func encodeNil() throws { elements.isNullable = true }
    mutating func encode<T: Encodable>(_ value: T) throws {
        count += 1
        try builder.describe(value, elements)
    }
    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) -> KeyedEncodingContainer<Nested> { superEncoder().container(keyedBy: type) }
    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        superEncoder().unkeyedContainer()
    }
    mutating func superEncoder() -> any Encoder {
        count += 1
        return FormEncoder(builder: builder, shape: elements)
    }

    init(builder: SchemaBuilder, elements: SchemaShape) {
        self.builder = builder
        self.elements = elements
    }
}

private struct Single: SingleValueEncodingContainer {
    let builder: SchemaBuilder
    let shape: SchemaShape
    var codingPath: [any CodingKey] { [] }

    mutating func encodeNil() throws { shape.isNullable = true }
    mutating func encode(_ value: Bool) throws { note("boolean") }
    mutating func encode(_ value: String) throws { note("string") }
    mutating func encode(_ value: Double) throws { note("number") }
    mutating func encode(_ value: Float) throws { note("number") }
    mutating func encode(_ value: Int) throws { note("integer") }
    mutating func encode(_ value: Int8) throws { note("integer") }
    mutating func encode(_ value: Int16) throws { note("integer") }
    mutating func encode(_ value: Int32) throws { note("integer") }
    mutating func encode(_ value: Int64) throws { note("integer") }
    mutating func encode(_ value: UInt) throws { natural() }
    mutating func encode(_ value: UInt8) throws { natural() }
    mutating func encode(_ value: UInt16) throws { natural() }
    mutating func encode(_ value: UInt32) throws { natural() }
    mutating func encode(_ value: UInt64) throws { natural() }
    mutating func encode<T: Encodable>(_ value: T) throws { try builder.describe(value, shape) }

    private func note(_ type: String) { shape.setScalar(["type": .string(type)]) }
    private func natural() { shape.setScalar(["type": "integer", "minimum": 0]) }
}
