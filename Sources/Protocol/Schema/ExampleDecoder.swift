// SPDX-License-Identifier: Apache-2.0

/// Answers everything that a type asks for, and notes what it asked.
struct ExampleDecoder: Decoder {
    let builder: SchemaBuilder
    let shape: SchemaShape
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        shape.setObject()
        return KeyedDecodingContainer(Keyed<Key>(builder: builder, shape: shape))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        Unkeyed(builder: builder, elements: shape.setArray())
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer {
        Single(builder: builder, shape: shape)
    }
}

private struct Keyed<Key: CodingKey>: KeyedDecodingContainerProtocol {
    /// What was asked of this container.
    private final class Asked {
        /// Members that may be null, or not there.
        var optional: Set<String> = []
        /// The form of the values, once all names were asked for.
        var values: SchemaShape?
    }

    let builder: SchemaBuilder
    let shape: SchemaShape
    private let asked = Asked()
    var codingPath: [any CodingKey] { [] }

    init(builder: SchemaBuilder, shape: SchemaShape) {
        self.builder = builder
        self.shape = shape
    }

    var allKeys: [Key] {
        asked.values = shape.setMap()
        return [Key(stringValue: "name")].compactMap(\.self)
    }

    func contains(_ key: Key) -> Bool { true }

    func decodeNil(forKey key: Key) throws -> Bool {
        asked.optional.insert(key.stringValue)
        return false
    }

    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        if let values = asked.values { return try builder.example(type, values) }
        let isOptional = asked.optional.contains(key.stringValue)
        let member = shape.member(key.stringValue, isRequired: !isOptional)
        if isOptional { member.isNullable = true }
        return try builder.example(type, member)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
        try nested(key).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try nested(key).unkeyedContainer()
    }
    func superDecoder() throws -> any Decoder { ExampleDecoder(builder: builder, shape: shape) }
    func superDecoder(forKey key: Key) throws -> any Decoder { nested(key) }

    private func nested(_ key: Key) -> ExampleDecoder {
        ExampleDecoder(builder: builder, shape: shape.member(key.stringValue, isRequired: true))
    }
}

/// A list of one element.
private struct Unkeyed: UnkeyedDecodingContainer {
    let builder: SchemaBuilder
    let elements: SchemaShape
    var currentIndex = 0
    var codingPath: [any CodingKey] { [] }
    var count: Int? { 1 }
    var isAtEnd: Bool { currentIndex > 0 }

    mutating func decodeNil() throws -> Bool {
        elements.isNullable = true
        return false
    }
    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
        currentIndex += 1
        return try builder.example(type, elements)
    }
    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> { try superDecoder().container(keyedBy: type) }
    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try superDecoder().unkeyedContainer()
    }
    mutating func superDecoder() throws -> any Decoder {
        currentIndex += 1
        return ExampleDecoder(builder: builder, shape: elements)
    }
}

private struct Single: SingleValueDecodingContainer {
    let builder: SchemaBuilder
    let shape: SchemaShape
    var codingPath: [any CodingKey] { [] }

    func decodeNil() -> Bool {
        shape.isNullable = true
        return false
    }
    func decode(_ type: Bool.Type) throws -> Bool { note("boolean", false) }
    func decode(_ type: String.Type) throws -> String { note("string", "") }
    func decode(_ type: Double.Type) throws -> Double { note("number", 0) }
    func decode(_ type: Float.Type) throws -> Float { note("number", 0) }
    func decode(_ type: Int.Type) throws -> Int { note("integer", 0) }
    func decode(_ type: Int8.Type) throws -> Int8 { note("integer", 0) }
    func decode(_ type: Int16.Type) throws -> Int16 { note("integer", 0) }
    func decode(_ type: Int32.Type) throws -> Int32 { note("integer", 0) }
    func decode(_ type: Int64.Type) throws -> Int64 { note("integer", 0) }
    func decode(_ type: UInt.Type) throws -> UInt { natural() }
    func decode(_ type: UInt8.Type) throws -> UInt8 { natural() }
    func decode(_ type: UInt16.Type) throws -> UInt16 { natural() }
    func decode(_ type: UInt32.Type) throws -> UInt32 { natural() }
    func decode(_ type: UInt64.Type) throws -> UInt64 { natural() }
    func decode<T: Decodable>(_ type: T.Type) throws -> T { try builder.example(type, shape) }

    private func note<T>(_ type: String, _ value: T) -> T {
        shape.setScalar(["type": .string(type)])
        return value
    }

    private func natural<T: UnsignedInteger>() -> T {
        shape.setScalar(["type": "integer", "minimum": 0])
        return 0
    }
}
