// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Holds values against a JSON Schema: the keywords of draft 2020-12 that the protocol's schema uses, and no other.
package struct SchemaValidator {
    private let document: JSONValue

    /// A validator for what a document defines.
    package init(_ document: JSONValue) { self.document = document }

    /// Every fault of `value`, with its place; empty where it fits.
    package func faults(of value: JSONValue, against schema: JSONValue, at place: String = "$") -> [String] {
        guard case .object(let keywords) = schema else { return ["\(place): the schema is no object"] }
        var faults: [String] = []
        for keyword in keywords.members {
            faults += check(value, keyword, keywords, place)
        }
        return faults
    }

    private func check(
        _ value: JSONValue, _ keyword: JSONObject.Member, _ schema: JSONObject, _ place: String
    ) -> [String] {
        switch keyword.key {
        case "$ref":
            guard let target = resolve(keyword.value) else {
                return ["\(place): \(keyword.value) is not there"]
            }
            return faults(of: value, against: target, at: place)
        case "type":
            let types = keyword.value.arrayValue ?? [keyword.value]
            return types.contains { Self.isType(value, $0.stringValue ?? "") }
                ? [] : ["\(place): is \(value.kindName), not \(keyword.value)"]
        case "const": return value == keyword.value ? [] : ["\(place): is not \(keyword.value)"]
        case "enum":
            return keyword.value.arrayValue?.contains(value) == true
                ? [] : ["\(place): \(value) is not listed"]
        case "anyOf":
            let all = (keyword.value.arrayValue ?? []).map { faults(of: value, against: $0, at: place) }
            guard !all.contains(where: \.isEmpty) else { return [] }
            // The choice that comes nearest says most.
            return ["\(place): fits none of \(all.count)"] + (all.min { $0.count < $1.count } ?? [])
        case "minimum":
            guard let number = value.doubleValue, let least = keyword.value.doubleValue else { return [] }
            return number >= least ? [] : ["\(place): is less than \(least)"]
        case "maxLength":
            guard let text = value.stringValue, let most = keyword.value.integerValue else { return [] }
            return text.unicodeScalars.count <= most ? [] : ["\(place): is longer than \(most)"]
        case "pattern":
            guard let text = value.stringValue, let pattern = keyword.value.stringValue else { return [] }
            guard let expression = try? Regex(pattern) else { return ["\(place): \(pattern) is no pattern"] }
            return text.firstMatch(of: expression) == nil
                ? ["\(place): \(text) does not match \(pattern)"] : []
        case "items":
            return (value.arrayValue ?? []).enumerated().flatMap {
                faults(of: $1, against: keyword.value, at: "\(place)[\($0)]")
            }
        case "required":
            guard let object = value.objectValue else { return [] }
            return (keyword.value.arrayValue ?? []).compactMap { name in
                object[name.stringValue ?? ""] == nil ? "\(place): \(name) is missing" : nil
            }
        case "properties":
            return (value.objectValue?.members ?? []).flatMap { member in
                keyword.value[member.key].map {
                    faults(of: member.value, against: $0, at: "\(place).\(member.key)")
                }
                    ?? []
            }
        case "additionalProperties":
            let others = (value.objectValue?.members ?? []).filter { schema["properties"]?[$0.key] == nil }
            return others.flatMap { member -> [String] in
                keyword.value == false
                    ? ["\(place): \(member.key) is not known"]
                    : faults(of: member.value, against: keyword.value, at: "\(place).\(member.key)")
            }
        case "$schema", "$id", "title", "methods", "events", "errors", "$defs": return []
        default: return ["\(place): the keyword \(keyword.key) is not one that this validator knows"]
        }
    }

    /// What `#/$defs/NAME` names.
    private func resolve(_ reference: JSONValue) -> JSONValue? {
        guard let text = reference.stringValue, text.hasPrefix("#/$defs/") else { return nil }
        return document["$defs"]?[String(text.dropFirst(8))]
    }

    private static func isType(_ value: JSONValue, _ type: String) -> Bool {
        switch type {
        case "null": value.isNull
        case "boolean": value.boolValue != nil
        case "string": value.stringValue != nil
        case "integer": value.integerValue != nil
        case "number": value.doubleValue != nil
        case "array": value.arrayValue != nil
        case "object": value.objectValue != nil
        default: false
        }
    }
}
