// SPDX-License-Identifier: Apache-2.0

extension StrictJSON {
    /// Reads an object that fills `bytes`, and of its members only those with these names.
    ///
    /// The other members' values are passed over: of them only strings and brackets are looked at, as far as it takes to
    /// find their ends. For texts that are known to be sound, of which little is wanted.
    /// - Throws: ``Failure`` naming the rule and the byte offset.
    package static func parse(
        _ bytes: [UInt8], members names: Set<String>, limits: Limits = Limits()
    ) throws(Failure) -> JSONObject {
        var result: Result<JSONObject, Failure> = .failure(Failure(reason: "empty text", offset: 0))
        bytes.withUnsafeBufferPointer { buffer in
            var parser = StrictJSON(text: buffer, limits: limits)
            do throws(Failure) {
                result = .success(try parser.parseMembers(names))
            } catch {
                result = .failure(error)
            }
        }
        return try result.get()
    }

    private mutating func parseMembers(_ names: Set<String>) throws(Failure) -> JSONObject {
        var object = JSONObject()
        skipSpace()
        guard position < text.count, text[position] == UInt8(ascii: "{") else {
            throw failure("an object must begin with '{'")
        }
        try enter()
        skipSpace()
        var isFirst = true
        while position < text.count, text[position] != UInt8(ascii: "}") {
            if !isFirst {
                guard text[position] == UInt8(ascii: ",") else { throw failure("expected ',' or '}'") }
                position += 1
                skipSpace()
            }
            isFirst = false
            guard position < text.count, text[position] == UInt8(ascii: "\"") else {
                throw failure("an object member must begin with a quoted key")
            }
            let start = position
            let key = try parseString()
            skipSpace()
            guard position < text.count, text[position] == UInt8(ascii: ":") else {
                throw failure("expected ':' after the key")
            }
            position += 1
            skipSpace()
            if names.contains(key) {
                guard object[key] == nil else {
                    throw Failure(reason: "duplicate key \"\(key.prefix(128))\"", offset: start)
                }
                object[key] = try parseValue()
            } else {
                try passValue()
            }
            skipSpace()
        }
        guard position < text.count else { throw failure("unexpected end of text") }
        position += 1
        skipSpace()
        if position != text.count { throw failure("unexpected bytes after the value") }
        return object
    }

    /// Goes to the end of a value.
    private mutating func passValue() throws(Failure) {
        var open = 0
        while position < text.count {
            switch text[position] {
            case UInt8(ascii: "\""): try passString()
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                open += 1
                position += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if open == 0 { return }
                open -= 1
                position += 1
                if open == 0 { return }
            case UInt8(ascii: ",") where open == 0: return
            default: position += 1
            }
        }
        throw failure("unexpected end of text")
    }

    private mutating func passString() throws(Failure) {
        position += 1
        while position < text.count {
            let byte = text[position]
            position += byte == UInt8(ascii: "\\") ? 2 : 1
            if byte == UInt8(ascii: "\"") { return }
        }
        throw failure("a string without an end")
    }
}
