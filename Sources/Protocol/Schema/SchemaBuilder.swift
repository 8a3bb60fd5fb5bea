// SPDX-License-Identifier: Apache-2.0

/// Makes JSON Schemas of Codable types by letting them decode and encode themselves and watching.
///
/// What a type reads says what a request may hold; what it writes says what a reply holds. Both can differ: a request's
/// member may be left out where a reply's is always there, and some members are only written. Nothing is described beside
/// the types, so nothing can differ from them.
final class SchemaBuilder {
    /// Why a type cannot be described.
    struct Fault: Error, Hashable, Sendable, CustomStringConvertible {
        var description: String
    }

    /// The schemas of the named types; replies' and requests' by `reply.NAME` and `request.NAME`, strings' by their name.
    private(set) var definitions: [String: JSONValue] = [:]
    private var examples: [ObjectIdentifier: (value: Any, schema: JSONValue)] = [:]
    private var walked: Set<ObjectIdentifier> = []

    /// The schema of a value that is read strictly.
    func request<T: Decodable>(_ type: T.Type) throws -> JSONValue {
        let shape = SchemaShape()
        _ = try example(type, shape)
        return shape.schema(isClosed: true)
    }

    /// The schema of a value that is written.
    func reply<T: Codable>(_ type: T.Type) throws -> JSONValue {
        let shape = SchemaShape()
        try describe(type, shape)
        return shape.schema(isClosed: false)
    }

    /// A value of the type with every member that can be there, each list with one element; `shape` learns what it read.
    func example<T: Decodable>(_ type: T.Type, _ shape: SchemaShape) throws -> T {
        if type == JSONValue.self, let value = JSONValue.null as? T { return value }
        guard let name = Self.name(type) else {
            return try T(from: ExampleDecoder(builder: self, shape: shape))
        }
        let key = ObjectIdentifier(type)
        if let known = examples[key], let value = known.value as? T {
            shape.setScalar(known.schema)
            return value
        }
        // What is remembered says nothing of whether null may stand here.
        let own = SchemaShape()
        let value: T
        if let text = try textual(type, name, own) {
            value = text
        } else {
            guard walked.insert(key).inserted else {
                throw Fault(description: "\(name) holds itself, which a schema here cannot say")
            }
            let inner = SchemaShape()
            value = try T(from: ExampleDecoder(builder: self, shape: inner))
            define(inner, as: "request.\(name)", isClosed: true, own)
        }
        let schema = own.schema(isClosed: true)
        examples[key] = (value, schema)
        shape.setScalar(schema)
        return value
    }

    /// Describes what a type writes.
    func describe<T: Codable>(_ type: T.Type, _ shape: SchemaShape) throws {
        try describe(try example(type, SchemaShape()), shape)
    }

    /// Describes what a value writes; an empty optional, list or map goes by its type.
    func describe<T: Encodable>(_ value: T, _ shape: SchemaShape) throws {
        if value is JSONValue { return }
        if let container = T.self as? any SchemaContainer.Type {
            return try container.describe(self, shape)
        }
        guard let name = Self.name(T.self) else {
            return try value.encode(to: FormEncoder(builder: self, shape: shape))
        }
        if let (schema, _) = try Self.textualSchema(T.self) {
            definitions[name] = schema
            return shape.setScalar(Self.reference(name))
        }
        let definition = "reply.\(name)"
        if definitions[definition] != nil { return shape.setScalar(Self.reference(definition)) }
        let inner = SchemaShape()
        try value.encode(to: FormEncoder(builder: self, shape: inner))
        define(inner, as: definition, isClosed: false, shape)
    }

    private func define(_ inner: SchemaShape, as name: String, isClosed: Bool, _ shape: SchemaShape) {
        // A type without members asks for nothing.
        if inner.isUntouched { inner.setObject() }
        let schema = inner.schema(isClosed: isClosed)
        guard inner.isObject else { return shape.setScalar(schema) }
        definitions[name] = schema
        shape.setScalar(Self.reference(name))
    }

    /// A value of a type that is written as a string; `nil` for other types.
    private func textual<T>(_ type: T.Type, _ name: String, _ shape: SchemaShape) throws -> T? {
        guard let (schema, value) = try Self.textualSchema(type) else { return nil }
        definitions[name] = schema
        shape.setScalar(Self.reference(name))
        return value as? T
    }

    private static func textualSchema(_ type: Any.Type) throws -> (schema: JSONValue, value: Any)? {
        if let text = type as? any TextForm.Type {
            return (["type": "string", "pattern": .string(text.pattern)], text.example)
        }
        if let open = type as? any OpenNames.Type {
            let names = open.known
            return (
                [
                    "anyOf": [
                        ["type": "string", "enum": .array(names.map(JSONValue.string))], ["type": "string"],
                    ]
                ],
                open.init(rawValue: names.first ?? "")
            )
        }
        func cases<Choice: RawRepresentable<String> & CaseIterable>(_ type: Choice.Type) -> ([String], Any?) {
            (type.allCases.map(\.rawValue), type.allCases.first)
        }
        guard let choice = type as? any (RawRepresentable<String> & CaseIterable).Type else { return nil }
        let (names, first) = cases(choice)
        guard let first else { throw Fault(description: "\(type) has no cases") }
        return (["type": "string", "enum": .array(names.map(JSONValue.string))], first)
    }

    private static func reference(_ name: String) -> JSONValue { ["$ref": .string("#/$defs/\(name)")] }

    /// The name of a type of this package, without the module; `nil` for those of the standard library.
    private static func name(_ type: Any.Type) -> String? {
        let parts = String(reflecting: type).split(separator: ".", maxSplits: 1)
        guard parts.count == 2, parts[0] != "Swift", parts[0] != "Foundation" else { return nil }
        return String(parts[1])
    }
}

/// A container of the standard library that can be empty, so that only its type tells what it holds.
protocol SchemaContainer {
    static func describe(_ builder: SchemaBuilder, _ shape: SchemaShape) throws
}

extension Optional: SchemaContainer where Wrapped: Codable {
    static func describe(_ builder: SchemaBuilder, _ shape: SchemaShape) throws {
        shape.isNullable = true
        try builder.describe(Wrapped.self, shape)
    }
}

extension Array: SchemaContainer where Element: Codable {
    static func describe(_ builder: SchemaBuilder, _ shape: SchemaShape) throws {
        try builder.describe(Element.self, shape.setArray())
    }
}

extension Dictionary: SchemaContainer where Key == String, Value: Codable {
    static func describe(_ builder: SchemaBuilder, _ shape: SchemaShape) throws {
        try builder.describe(Value.self, shape.setMap())
    }
}
