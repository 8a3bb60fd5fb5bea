// SPDX-License-Identifier: Apache-2.0

import Protocol

/// What a new schema of the protocol takes away from those who were written for an old one.
///
/// A request that fitted must still fit, and a reply must still hold what it held. Anything that is only more (a method, an
/// optional parameter, a member of a reply, a name among a reply's names) breaks nothing.
package struct SchemaChange {
    private enum Side { case request, reply }

    private let old: JSONValue
    private let new: JSONValue

    /// A change from one document to another.
    package init(from old: JSONValue, to new: JSONValue) {
        self.old = old
        self.new = new
    }

    /// Everything that breaks, with its place.
    package var breaks: [String] {
        var found: [String] = []
        for method in old["methods"]?.objectValue?.members ?? [] {
            guard let now = new["methods"]?[method.key] else {
                found.append("\(method.key): is gone")
                continue
            }
            if now["role"] != method.value["role"], now["role"] != "viewer" {
                found.append("\(method.key): needs another role")
            }
            for (name, side) in [("params", Side.request), ("result", .reply)] {
                var seen: Set<String> = []
                found += compare(
                    method.value[name] ?? .null, now[name] ?? .null, side, "\(method.key) \(name)", &seen)
            }
        }
        for (name, side) in [
            ("HelloNotification", Side.reply), ("EventLine", .reply), ("Failure", .reply),
            ("DescriptorPacket", .request), ("DescriptorReply", .reply),
        ] {
            var seen: Set<String> = []
            found += compare(
                old["$defs"]?[name] ?? .null, new["$defs"]?[name] ?? .null, side, name, &seen)
        }
        for list in ["events", "errors"] {
            for entry in old[list]?.arrayValue ?? [] where new[list]?.arrayValue?.contains(entry) != true {
                found.append("\(list): \(entry) is gone")
            }
        }
        return Array(Set(found)).sorted()
    }

    private func compare(
        _ old: JSONValue, _ new: JSONValue, _ side: Side, _ place: String, _ seen: inout Set<String>
    ) -> [String] {
        // The same type is compared once from each place that it is used at.
        if let name = old["$ref"]?.stringValue, !seen.insert(name).inserted { return [] }
        let (old, new) = (Self.resolve(old, self.old), Self.resolve(new, self.new))
        var found: [String] = []
        let (before, now) = (Self.types(old, self.old), Self.types(new, self.new))
        switch side {
        case .request where !before.isSubset(of: now) && now != Self.all:
            found.append("\(place): may be no \(before.subtracting(now).sorted()) any more")
        case .reply where !now.isSubset(of: before) && before != Self.all:
            found.append("\(place): may be \(now.subtracting(before).sorted()) now")
        default: break
        }
        if let names = Self.names(old, self.old), let later = Self.names(new, self.new) {
            for name in names where !later.contains(name) { found.append("\(place): \(name) is gone") }
        } else if side == .request, Self.names(old, self.old) == nil, Self.names(new, self.new) != nil {
            found.append("\(place): only some names are taken now")
        }
        if side == .request, let pattern = new["pattern"], old["pattern"] != pattern {
            found.append("\(place): has another pattern")
        }
        let (was, become) = (Self.part(old, "properties", self.old), Self.part(new, "properties", self.new))
        for member in was?.objectValue?.members ?? [] {
            guard let later = become?[member.key] else {
                found.append("\(place).\(member.key): is gone")
                continue
            }
            found += compare(member.value, later, side, "\(place).\(member.key)", &seen)
        }
        let needed = Self.part(old, "required", self.old)?.arrayValue ?? []
        let needs = Self.part(new, "required", self.new)?.arrayValue ?? []
        switch side {
        case .request:
            for name in needs where !needed.contains(name) {
                found.append("\(place).\(name.stringValue ?? ""): is required now")
            }
        case .reply:
            for name in needed where !needs.contains(name) {
                found.append("\(place).\(name.stringValue ?? ""): may be missing now")
            }
        }
        for inner in ["items", "additionalProperties"] {
            guard let was = Self.part(old, inner, self.old), was.objectValue != nil,
                let become = Self.part(new, inner, self.new)
            else { continue }
            found += compare(was, become, side, "\(place)[]", &seen)
        }
        return found
    }

    private static let all: Set<String> = [
        "null", "boolean", "integer", "number", "string", "array", "object",
    ]

    private static func resolve(_ schema: JSONValue, _ document: JSONValue) -> JSONValue {
        guard let name = schema["$ref"]?.stringValue else { return schema }
        return resolve(document["$defs"]?[String(name.dropFirst(8))] ?? .null, document)
    }

    private static func choices(_ schema: JSONValue, _ document: JSONValue) -> [JSONValue] {
        (schema["anyOf"]?.arrayValue ?? [schema]).map { resolve($0, document) }
    }

    /// The types that a value may have.
    private static func types(_ schema: JSONValue, _ document: JSONValue) -> Set<String> {
        var types: Set<String> = []
        for choice in choices(schema, document) {
            guard let type = choice["type"] else { return all }
            types.formUnion((type.arrayValue ?? [type]).compactMap(\.stringValue))
        }
        return types.contains("number") ? types.union(["integer"]) : types
    }

    /// The names that a value is one of; those that are known, of an open list.
    private static func names(_ schema: JSONValue, _ document: JSONValue) -> [String]? {
        let lists = choices(schema, document).compactMap { $0["enum"]?.arrayValue?.compactMap(\.stringValue) }
        return lists.isEmpty ? nil : lists.flatMap(\.self)
    }

    private static func part(_ schema: JSONValue, _ name: String, _ document: JSONValue) -> JSONValue? {
        choices(schema, document).lazy.compactMap { $0[name] }.first
    }
}
