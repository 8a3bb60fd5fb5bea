// SPDX-License-Identifier: Apache-2.0

/// Decodes a `Decodable` type from a ``JSONValue`` and refuses members that the type does not read.
///
/// A request with a misspelled option must fail before it has any effect, so every object's members are
/// held against the keys that its type asked for.
package struct JSONValueDecoder {
    /// Why a value does not fit a type: which member, and what was expected.
    package struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
        /// The member's path, such as `spec.parameters.epochs`; empty for the value itself.
        package var field: String
        /// What is wrong, in words.
        package var reason: String

        package var description: String { field.isEmpty ? reason : "\(field): \(reason)" }
    }

    /// Decodes `type` from `value`.
    /// - Parameter allowUnknown: Whether members that the type does not know are ignored (results and
    ///   events, which may grow) rather than refused (requests).
    /// - Throws: ``Failure`` naming the member.
    package static func decode<T: Decodable>(
        _ type: T.Type, from value: JSONValue, allowUnknown: Bool = false
    ) throws(Failure) -> T {
        do {
            return try Node(value: value, trail: nil, allowUnknown: allowUnknown).unbox(type)
        } catch let failure as Failure {
            throw failure
        } catch let error as DecodingError {
            throw Failure(error)
        } catch {
            throw Failure(field: "", reason: "\(error)")
        }
    }
}

extension JSONValueDecoder.Failure {
    fileprivate init(_ error: DecodingError) {
        switch error {
        case .keyNotFound(let key, let context):
            self.init(field: path(context.codingPath + [key]), reason: "is missing")
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            self.init(field: path(context.codingPath), reason: context.debugDescription)
        @unknown default:
            self.init(field: "", reason: "does not decode")
        }
    }
}

private func path(_ keys: [any CodingKey]) -> String {
    keys.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
}

private struct IndexKey: CodingKey {
    let intValue: Int?
    var stringValue: String { "\(intValue ?? 0)" }
    init(_ index: Int) { intValue = index }
    init?(intValue: Int) { self.intValue = intValue }
    init?(stringValue: String) { nil }
}

/// The keys that a type asked one object for.
private final class AskedKeys {
    private(set) var keys: Set<String> = []

    func insert(_ key: String) { keys.insert(key) }
}

private struct Node: Decoder {
    let value: JSONValue
    let trail: CodingTrail?
    let allowUnknown: Bool
    /// Kept only where unknown members are refused.
    let asked: AskedKeys?
    var codingPath: [any CodingKey] { CodingTrail.path(trail) }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    init(value: JSONValue, trail: CodingTrail?, allowUnknown: Bool) {
        self.value = value
        self.trail = trail
        self.allowUnknown = allowUnknown
        asked = allowUnknown ? nil : AskedKeys()
    }

    func unbox<T: Decodable>(_ type: T.Type) throws -> T {
        if type == JSONValue.self, let same = value as? T { return same }
        let result: T
        do { result = try T(from: self) } catch let error as DecodingError {
            throw unknownChoice(type) ?? error
        }
        if let asked, let object = value.objectValue, !asked.keys.isEmpty || object.count > 0,
            !(result is JSONValue), !asked.keys.contains("*")
        {
            if let unknown = object.keys.first(where: { !asked.keys.contains($0) }) {
                throw JSONValueDecoder.Failure(
                    field: path(codingPath + [StringKey(unknown)]),
                    reason: "is not a known member" + suggestion(for: unknown, among: asked.keys))
            }
        }
        return result
    }

    /// What is wrong where a name is none of an enumeration's.
    private func unknownChoice<T>(_ type: T.Type) -> JSONValueDecoder.Failure? {
        func names<Choice: RawRepresentable<String> & CaseIterable>(_ type: Choice.Type) -> Set<String> {
            Set(type.allCases.map(\.rawValue))
        }
        guard let choices = type as? any (RawRepresentable<String> & CaseIterable).Type,
            let name = value.stringValue
        else { return nil }
        return JSONValueDecoder.Failure(
            field: path(codingPath),
            reason: "is \"\(name.prefix(64))\", which is not known"
                + suggestion(for: name, among: names(choices)))
    }

    private func suggestion(for name: String, among known: Set<String>) -> String {
        let names = known.sorted()
        if let near = ClosestName.suggest(for: name, among: names) {
            return "; did you mean \"\(near)\"?"
        }
        return names.isEmpty ? "" : "; known: \(names.joined(separator: ", "))"
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard let object = value.objectValue else { throw mismatch("an object") }
        return KeyedDecodingContainer(Keyed<Key>(object: object, node: self))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard let elements = value.arrayValue else { throw mismatch("an array") }
        return Unkeyed(elements: elements, node: self)
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer { Single(node: self) }

    func mismatch(_ wanted: String) -> JSONValueDecoder.Failure {
        JSONValueDecoder.Failure(field: path(codingPath), reason: "must be \(wanted), not \(value.kindName)")
    }

    func integer<T: FixedWidthInteger>(_ type: T.Type) throws -> T {
        guard let integer = value.integerValue else { throw mismatch("an integer") }
        guard let result = T(exactly: integer) else {
            throw JSONValueDecoder.Failure(
                field: path(codingPath), reason: "must be between \(T.min) and \(T.max), not \(integer)")
        }
        return result
    }

    func child(_ value: JSONValue, _ key: any CodingKey) -> Node {
        Node(value: value, trail: CodingTrail(trail, key), allowUnknown: allowUnknown)
    }
}

private struct StringKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(_ string: String) { stringValue = string }
    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

/// What a container of members reads: one reference, because containers are copied with every member that is asked for.
private final class Content {
    let object: JSONObject
    let node: Node

    init(_ object: JSONObject, _ node: Node) { (self.object, self.node) = (object, node) }
}

private struct Keyed<Key: CodingKey>: KeyedDecodingContainerProtocol {
    private let content: Content
    private var object: JSONObject { content.object }
    private var node: Node { content.node }

    init(object: JSONObject, node: Node) { content = Content(object, node) }

    var codingPath: [any CodingKey] { node.codingPath }
    var allKeys: [Key] {
        // A type that lists the keys reads a map: all of them are known.
        node.asked?.insert("*")
        return object.keys.compactMap { Key(stringValue: $0) }
    }

    func contains(_ key: Key) -> Bool {
        node.asked?.insert(key.stringValue)
        return object[key.stringValue] != nil
    }

    func decodeNil(forKey key: Key) throws -> Bool {
        node.asked?.insert(key.stringValue)
        return object[key.stringValue]?.isNull ?? true
    }

    private func value(_ key: Key) throws -> Node {
        node.asked?.insert(key.stringValue)
        guard let value = object[key.stringValue] else {
            throw JSONValueDecoder.Failure(field: path(codingPath + [key]), reason: "is missing")
        }
        return node.child(value, key)
    }

    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T { try value(key).unbox(type) }
    // The standard ones look for the key three times.
    func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? {
        try present(type, key)
    }
    func decodeIfPresent(_ type: Bool.Type, forKey key: Key) throws -> Bool? { try present(type, key) }
    func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? { try present(type, key) }
    func decodeIfPresent(_ type: Double.Type, forKey key: Key) throws -> Double? { try present(type, key) }
    func decodeIfPresent(_ type: Int.Type, forKey key: Key) throws -> Int? { try present(type, key) }
    func decodeIfPresent(_ type: Int64.Type, forKey key: Key) throws -> Int64? { try present(type, key) }

    private func present<T: Decodable>(_ type: T.Type, _ key: Key) throws -> T? {
        node.asked?.insert(key.stringValue)
        guard let value = object[key.stringValue], !value.isNull else { return nil }
        return try node.child(value, key).unbox(type)
    }
    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> { try value(key).container(keyedBy: type) }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try value(key).unkeyedContainer()
    }
    func superDecoder() throws -> any Decoder { node }
    func superDecoder(forKey key: Key) throws -> any Decoder { try value(key) }
}

private struct Unkeyed: UnkeyedDecodingContainer {
    let elements: [JSONValue]
    let node: Node
    var currentIndex = 0
    var codingPath: [any CodingKey] { node.codingPath }
    var count: Int? { elements.count }
    var isAtEnd: Bool { currentIndex >= elements.count }

    private mutating func next() throws -> Node {
        guard currentIndex < elements.count else { throw node.mismatch("a longer array") }
        defer { currentIndex += 1 }
        return node.child(elements[currentIndex], IndexKey(currentIndex))
    }

    mutating func decodeNil() throws -> Bool {
        guard currentIndex < elements.count, elements[currentIndex].isNull else { return false }
        currentIndex += 1
        return true
    }
    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T { try next().unbox(type) }
    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> { try next().container(keyedBy: type) }
    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try next().unkeyedContainer()
    }
    mutating func superDecoder() throws -> any Decoder { try next() }
}

private struct Single: SingleValueDecodingContainer {
    let node: Node
    var codingPath: [any CodingKey] { node.codingPath }

    func decodeNil() -> Bool { node.value.isNull }
    func decode(_ type: Bool.Type) throws -> Bool {
        guard let value = node.value.boolValue else { throw node.mismatch("true or false") }
        return value
    }
    func decode(_ type: String.Type) throws -> String {
        guard let value = node.value.stringValue else { throw node.mismatch("a string") }
        return value
    }
    func decode(_ type: Double.Type) throws -> Double {
        guard let value = node.value.doubleValue else { throw node.mismatch("a number") }
        return value
    }
    func decode(_ type: Float.Type) throws -> Float { Float(try decode(Double.self)) }
    func decode(_ type: Int.Type) throws -> Int { try node.integer(type) }
    func decode(_ type: Int8.Type) throws -> Int8 { try node.integer(type) }
    func decode(_ type: Int16.Type) throws -> Int16 { try node.integer(type) }
    func decode(_ type: Int32.Type) throws -> Int32 { try node.integer(type) }
    func decode(_ type: Int64.Type) throws -> Int64 { try node.integer(type) }
    func decode(_ type: UInt.Type) throws -> UInt { try node.integer(type) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try node.integer(type) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try node.integer(type) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try node.integer(type) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try node.integer(type) }
    func decode<T: Decodable>(_ type: T.Type) throws -> T { try node.unbox(type) }
}
