// SPDX-License-Identifier: Apache-2.0

/// The JSON Schema (draft 2020-12) of the protocol, made of the types that requests are read into and replies written from.
package struct ProtocolSchema: Sendable {
    /// Describes the parameters and the result of one method.
    private typealias Describe = @Sendable (SchemaBuilder) throws -> (params: JSONValue, result: JSONValue)

    private var methods: [Method: Describe] = [:]

    /// A protocol without methods.
    package init() {}

    /// Adds a method.
    package mutating func add<Params: Codable & Sendable, Result: Codable & Sendable>(
        _ method: Method, _ params: Params.Type, _ result: Result.Type
    ) {
        methods[method] = { builder in (try builder.request(Params.self), try builder.reply(Result.self)) }
    }

    /// The methods that were added.
    package var names: Set<Method> { Set(methods.keys) }

    /// The schema, against which each line of a connection can be checked; its member `methods` tells what belongs to which
    /// method.
    ///
    /// - Parameter method: Only this one; `nil` is all.
    /// - Throws: Where a type cannot be described.
    package func document(of method: Method? = nil) throws -> JSONValue {
        let builder = SchemaBuilder()
        var table = JSONObject()
        var requests: [JSONValue] = []
        for known in Method.allCases where method == nil || known == method {
            guard let describe = methods[known] else { continue }
            let (params, result) = try describe(builder)
            table[known.rawValue] = [
                "role": .string(known.role.rawValue), "mutates": .bool(known.mutates), "params": params,
                "result": result,
            ]
            requests.append(Self.request(known, params))
        }
        var definitions = JSONObject()
        definitions["Line"] = [
            "anyOf": [
                ["$ref": "#/$defs/Request"], ["$ref": "#/$defs/Cancel"], ["$ref": "#/$defs/Response"],
                ["$ref": "#/$defs/Failure"], ["$ref": "#/$defs/HelloNotification"],
                ["$ref": "#/$defs/EventLine"],
            ]
        ]
        definitions["Id"] = [
            "anyOf": [["type": "integer", "minimum": 0], ["type": "string", "maxLength": 64]]
        ]
        definitions["Request"] = ["anyOf": .array(requests)]
        definitions["Cancel"] = Self.line([
            "method": ["const": "$/cancel"],
            "params": [
                "type": "object", "properties": ["id": ["$ref": "#/$defs/Id"]], "required": ["id"],
            ],
        ])
        definitions["Response"] = Self.line(["id": ["$ref": "#/$defs/Id"], "result": .object(JSONObject())])
        definitions["Failure"] = Self.line([
            "id": ["anyOf": [["$ref": "#/$defs/Id"], ["type": "null"]]],
            "error": try builder.reply(RPCError.self),
        ])
        definitions["HelloNotification"] = Self.line([
            "method": ["const": "hello"], "params": try builder.reply(Hello.self),
        ])
        definitions["EventLine"] = Self.line([
            "method": ["const": "event"], "params": try builder.reply(EventNotification.self),
        ])
        definitions["DescriptorPacket"] = try builder.request(DescriptorPacket.self)
        definitions["DescriptorReply"] = try builder.reply(DescriptorReply.self)
        for name in Self.reached(from: .array([.object(definitions), .object(table)]), builder.definitions) {
            definitions[name] = builder.definitions[name]
        }
        return [
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": .string("urn:unlearnd:protocol:\(ProtocolLimits.version)"),
            "title": .string("The protocol of unlearnd, version \(ProtocolLimits.version)"),
            "$ref": "#/$defs/Line",
            "methods": .object(table),
            "events": .array(EventType.known.map(JSONValue.string)),
            "errors": .array(
                RPCError.Kind.allCases.map {
                    [
                        "kind": .string($0.rawValue), "code": .integer(Int64($0.code)),
                        "retryable": .bool($0.isRetryable),
                    ]
                }),
            "$defs": .object(definitions),
        ]
    }

    /// A line whose every member must be there.
    private static func line(_ members: JSONValue) -> JSONValue {
        var properties = JSONObject()
        properties["jsonrpc"] = ["const": "2.0"]
        for member in members.objectValue?.members ?? [] { properties[member.key] = member.value }
        return [
            "type": "object", "properties": .object(properties),
            "required": .array(properties.keys.map(JSONValue.string)),
        ]
    }

    /// A request's line: parameters may be left out where none is required.
    private static func request(_ method: Method, _ params: JSONValue) -> JSONValue {
        [
            "type": "object",
            "properties": [
                "jsonrpc": ["const": "2.0"], "id": ["$ref": "#/$defs/Id"],
                "method": ["const": .string(method.rawValue)], "params": params,
            ],
            "required": ["jsonrpc", "id", "method"],
        ]
    }

    /// The definitions that a schema refers to, and those that they refer to, by name.
    private static func reached(from schema: JSONValue, _ definitions: [String: JSONValue]) -> [String] {
        var found: Set<String> = []
        func walk(_ value: JSONValue) {
            switch value {
            case .array(let elements): elements.forEach(walk)
            case .object(let object):
                for member in object.members {
                    if member.key == "$ref", let name = member.value.stringValue?.dropFirst(8),
                        let definition = definitions[String(name)], found.insert(String(name)).inserted
                    {
                        walk(definition)
                    }
                    walk(member.value)
                }
            default: break
            }
        }
        walk(schema)
        return found.sorted()
    }
}
