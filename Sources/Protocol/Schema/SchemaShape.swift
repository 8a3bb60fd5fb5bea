// SPDX-License-Identifier: Apache-2.0

/// What has been seen of one value's form while its type is walked.
final class SchemaShape {
    private enum Form {
        /// Any JSON value.
        case any
        case scalar(JSONValue)
        case array(SchemaShape)
        /// Any names, values of one form.
        case map(SchemaShape)
        case object
    }

    private var form = Form.any
    private(set) var isObject = false
    private var properties: [(name: String, shape: SchemaShape)] = []
    private var required: [String] = []
    /// Whether `null` may stand in its place.
    var isNullable = false

    /// Whether nothing was noted.
    var isUntouched: Bool { if case .any = form { true } else { false } }

    /// Notes that it is a string, a number, or a reference to what is described elsewhere.
    func setScalar(_ schema: JSONValue) { form = .scalar(schema) }

    /// Notes that it is a list.
    /// - Returns: The form of its elements.
    func setArray() -> SchemaShape {
        let elements = SchemaShape()
        form = .array(elements)
        return elements
    }

    /// Notes that it is an object whose names are data.
    /// - Returns: The form of its values.
    func setMap() -> SchemaShape {
        let values = SchemaShape()
        form = .map(values)
        return values
    }

    /// Notes that it is an object with members of certain names.
    func setObject() {
        if case .map = form { return }
        form = .object
        isObject = true
    }

    /// Notes a member.
    /// - Returns: Its form.
    func member(_ name: String, isRequired: Bool) -> SchemaShape {
        if isRequired, !required.contains(name) { required.append(name) }
        if let known = properties.first(where: { $0.name == name }) { return known.shape }
        let shape = SchemaShape()
        properties.append((name, shape))
        return shape
    }

    /// The JSON Schema.
    /// - Parameter isClosed: Whether members of other names are refused.
    func schema(isClosed: Bool) -> JSONValue {
        let schema: JSONValue
        switch form {
        case .any: return .object(JSONObject())
        case .scalar(let known): schema = known
        case .array(let elements):
            schema = ["type": "array", "items": elements.schema(isClosed: isClosed)]
        case .map(let values):
            schema = ["type": "object", "additionalProperties": values.schema(isClosed: isClosed)]
        case .object:
            var object = JSONObject()
            object["type"] = "object"
            var members = JSONObject()
            for property in properties { members[property.name] = property.shape.schema(isClosed: isClosed) }
            if !properties.isEmpty { object["properties"] = .object(members) }
            if !required.isEmpty { object["required"] = .array(required.map(JSONValue.string)) }
            if isClosed { object["additionalProperties"] = false }
            schema = .object(object)
        }
        return isNullable ? Self.orNull(schema) : schema
    }

    private static func orNull(_ schema: JSONValue) -> JSONValue {
        guard case .object(var object) = schema, object["enum"] == nil,
            case .string(let type) = object["type"]
        else { return ["anyOf": [schema, ["type": "null"]]] }
        object["type"] = [.string(type), "null"]
        return .object(object)
    }
}
