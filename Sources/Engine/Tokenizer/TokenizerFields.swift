// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Typed reading of one JSON object of a tokenizer file; a wrong type is an error that names its place.
struct TokenizerFields {
    let place: String
    let object: JSONObject

    init(_ value: JSONValue?, at place: String) throws(TokenizerError) {
        guard case .object(let object)? = value else {
            throw .invalid("\(place) is not a JSON object")
        }
        self.place = place
        self.object = object
    }

    /// Where a member stands: `tokenizer.json: model.vocab`.
    private func path(_ key: String) -> String {
        place.hasSuffix(":") ? "\(place) \(key)" : "\(place).\(key)"
    }

    /// The member, with JSON null read as absent.
    func optional(_ key: String) -> JSONValue? {
        guard let value = object[key], value != .null else { return nil }
        return value
    }

    func string(_ key: String) throws(TokenizerError) -> String {
        guard case .string(let text)? = object[key] else { throw wrong(key, "a string") }
        return text
    }

    func optionalString(_ key: String) throws(TokenizerError) -> String? {
        guard optional(key) != nil else { return nil }
        return try string(key)
    }

    func bool(_ key: String, default fallback: Bool) throws(TokenizerError) -> Bool {
        guard let value = optional(key) else { return fallback }
        guard case .bool(let flag) = value else { throw wrong(key, "true or false") }
        return flag
    }

    func array(_ key: String) throws(TokenizerError) -> [JSONValue] {
        guard case .array(let values)? = object[key] else { throw wrong(key, "a list") }
        return values
    }

    func fields(_ key: String) throws(TokenizerError) -> TokenizerFields {
        try TokenizerFields(object[key], at: path(key))
    }

    /// A count or token id that fits 31 bits.
    func identifier(_ key: String) throws(TokenizerError) -> Int32 {
        guard case .integer(let number)? = object[key], let id = Int32(exactly: number), id >= 0 else {
            throw wrong(key, "an id between 0 and 2147483647")
        }
        return id
    }

    /// The literal string of a `{"String": …}` pattern, or the text of a `{"Regex": …}` one.
    func pattern(_ key: String) throws(TokenizerError) -> (text: String, isRegex: Bool) {
        let pattern = try fields(key)
        if case .string(let text)? = pattern.object["String"] { return (text, false) }
        if case .string(let text)? = pattern.object["Regex"] { return (text, true) }
        throw wrong(key, "a String or a Regex pattern")
    }

    func wrong(_ key: String, _ rule: String) -> TokenizerError {
        .invalid("\(path(key)) is not \(rule)")
    }
}
