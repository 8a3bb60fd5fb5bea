// SPDX-License-Identifier: Apache-2.0

/// One JSON value, with integers kept exact and object members kept in order.
///
/// Made by ``StrictJSON``; knows nothing of what the value means.
package enum JSONValue: Hashable, Sendable {
    case null
    case bool(Bool)
    /// A number written without fraction or exponent that fits 64 bits.
    case integer(Int64)
    /// Any other number.
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    /// The member `key` of an object; `nil` for a missing member and for anything that is no object.
    package subscript(key: String) -> JSONValue? { objectValue?[key] }

    /// The object, or `nil`.
    package var objectValue: JSONObject? { if case .object(let value) = self { value } else { nil } }
    /// The array, or `nil`.
    package var arrayValue: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
    /// The string, or `nil`.
    package var stringValue: String? { if case .string(let value) = self { value } else { nil } }
    /// The exact integer, or `nil` (a number such as `1.0` is not one).
    package var integerValue: Int64? { if case .integer(let value) = self { value } else { nil } }
    /// The truth value, or `nil`.
    package var boolValue: Bool? { if case .bool(let value) = self { value } else { nil } }
    /// Any number as a double, or `nil`.
    package var doubleValue: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }
    /// Whether this is `null`.
    package var isNull: Bool { if case .null = self { true } else { false } }

    /// The kind of value in words, for error messages.
    package var kindName: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .integer: "an integer"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByFloatLiteral, ExpressibleByNilLiteral, ExpressibleByArrayLiteral,
    ExpressibleByDictionaryLiteral
{
    /// A string value.
    package init(stringLiteral value: String) { self = .string(value) }
    /// An integer value.
    package init(integerLiteral value: Int64) { self = .integer(value) }
    /// A truth value.
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    /// A number.
    package init(floatLiteral value: Double) { self = .number(value) }
    /// Null.
    package init(nilLiteral: ()) { self = .null }
    /// An array.
    package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    /// An object; a key that is repeated keeps its last value.
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        var object = JSONObject()
        for (key, value) in elements { object[key] = value }
        self = .object(object)
    }
}
