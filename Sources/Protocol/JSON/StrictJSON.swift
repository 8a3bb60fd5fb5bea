// SPDX-License-Identifier: Apache-2.0

/// A JSON reader for hostile input (RFC 8259, made stricter).
///
/// It refuses what lenient readers disagree on: repeated keys (also when spelled with escapes), invalid or
/// overlong UTF-8, lone surrogates, a byte order mark, raw control characters, leading zeros, trailing
/// bytes, and nesting beyond a limit. Integers stay exact. Time is linear in the input.
package struct StrictJSON {
    /// How much structure one text may have.
    package struct Limits: Sendable {
        /// Deepest nesting of arrays and objects.
        package var depth: Int
        /// Most members of one object.
        package var membersPerObject: Int
        /// Most values in the whole text.
        package var values: Int

        /// Limits with generous defaults for files; messages on a socket use smaller ones.
        package init(depth: Int = 64, membersPerObject: Int = 16_000_000, values: Int = 64_000_000) {
            self.depth = depth
            self.membersPerObject = membersPerObject
            self.values = values
        }
    }

    /// Why a text was refused, and where.
    package struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
        /// The rule that was broken, in words.
        package var reason: String
        /// Offset of the first wrong byte.
        package var offset: Int

        package var description: String { "\(reason) at byte \(offset)" }
    }

    /// Reads one JSON text that fills `bytes`.
    ///
    /// - Parameters:
    ///   - bytes: UTF-8 text; white space around the value is allowed.
    ///   - limits: How much structure is accepted.
    /// - Throws: ``Failure`` naming the rule and the byte offset.
    package static func parse(_ bytes: [UInt8], limits: Limits = Limits()) throws(Failure) -> JSONValue {
        var result: Result<JSONValue, Failure> = .failure(Failure(reason: "empty text", offset: 0))
        bytes.withUnsafeBufferPointer { buffer in
            var parser = StrictJSON(text: buffer, limits: limits)
            do throws(Failure) {
                let value = try parser.parseDocument()
                result = .success(value)
            } catch {
                result = .failure(error)
            }
        }
        return try result.get()
    }

    /// Reads one JSON text given as a string.
    /// - Throws: ``Failure`` naming the rule and the byte offset.
    package static func parse(_ text: String, limits: Limits = Limits()) throws(Failure) -> JSONValue {
        try parse(Array(text.utf8), limits: limits)
    }

    let text: UnsafeBufferPointer<UInt8>
    let limits: Limits
    var position = 0
    var depth = 0
    var values = 0

    init(text: UnsafeBufferPointer<UInt8>, limits: Limits) {
        self.text = text
        self.limits = limits
    }

    mutating func parseDocument() throws(Failure) -> JSONValue {
        skipSpace()
        let value = try parseValue()
        skipSpace()
        if position != text.count { throw failure("unexpected bytes after the value") }
        return value
    }

    func failure(_ reason: String) -> Failure { Failure(reason: reason, offset: position) }

    mutating func skipSpace() {
        while position < text.count {
            switch text[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    mutating func parseValue() throws(Failure) -> JSONValue {
        values += 1
        if values > limits.values { throw failure("more than \(limits.values) values") }
        guard position < text.count else { throw failure("unexpected end of text") }
        switch text[position] {
        case UInt8(ascii: "{"): return try parseObject()
        case UInt8(ascii: "["): return try parseArray()
        case UInt8(ascii: "\""): return .string(try parseString())
        case UInt8(ascii: "t"):
            try expect("true")
            return .bool(true)
        case UInt8(ascii: "f"):
            try expect("false")
            return .bool(false)
        case UInt8(ascii: "n"):
            try expect("null")
            return .null
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try parseNumber()
        default: throw failure("unexpected byte 0x\(String(text[position], radix: 16))")
        }
    }

    mutating func expect(_ word: StaticString) throws(Failure) {
        let count = word.utf8CodeUnitCount
        guard position + count <= text.count else { throw failure("unexpected end of text") }
        for index in 0..<count where text[position + index] != word.utf8Start[index] {
            throw failure("unknown word")
        }
        position += count
    }

    mutating func enter() throws(Failure) {
        depth += 1
        if depth > limits.depth { throw failure("nested deeper than \(limits.depth)") }
        position += 1
    }

    private mutating func parseObject() throws(Failure) -> JSONValue {
        try enter()
        var object = JSONObject()
        skipSpace()
        if position < text.count, text[position] == UInt8(ascii: "}") {
            position += 1
            depth -= 1
            return .object(object)
        }
        while true {
            skipSpace()
            guard position < text.count, text[position] == UInt8(ascii: "\"") else {
                throw failure("an object member must begin with a quoted key")
            }
            let start = position
            let key = try parseString()
            if object.count >= limits.membersPerObject {
                throw failure("more than \(limits.membersPerObject) members in one object")
            }
            skipSpace()
            guard position < text.count, text[position] == UInt8(ascii: ":") else {
                throw failure("expected ':' after the key")
            }
            position += 1
            skipSpace()
            let value = try parseValue()
            guard object.append(key, value) else {
                throw Failure(reason: "duplicate key \"\(key.prefix(128))\"", offset: start)
            }
            skipSpace()
            guard position < text.count else { throw failure("unexpected end of text") }
            if text[position] == UInt8(ascii: ",") {
                position += 1
            } else if text[position] == UInt8(ascii: "}") {
                position += 1
                depth -= 1
                return .object(object)
            } else {
                throw failure("expected ',' or '}'")
            }
        }
    }

    private mutating func parseArray() throws(Failure) -> JSONValue {
        try enter()
        var elements: [JSONValue] = []
        skipSpace()
        if position < text.count, text[position] == UInt8(ascii: "]") {
            position += 1
            depth -= 1
            return .array(elements)
        }
        while true {
            skipSpace()
            elements.append(try parseValue())
            skipSpace()
            guard position < text.count else { throw failure("unexpected end of text") }
            if text[position] == UInt8(ascii: ",") {
                position += 1
            } else if text[position] == UInt8(ascii: "]") {
                position += 1
                depth -= 1
                return .array(elements)
            } else {
                throw failure("expected ',' or ']'")
            }
        }
    }

    private mutating func parseNumber() throws(Failure) -> JSONValue {
        let start = position
        let negative = text[position] == UInt8(ascii: "-")
        if negative { position += 1 }
        func digit(at index: Int) -> Bool {
            index < text.count && text[index] >= UInt8(ascii: "0") && text[index] <= UInt8(ascii: "9")
        }
        guard digit(at: position) else { throw failure("a number needs a digit") }
        if text[position] == UInt8(ascii: "0"), digit(at: position + 1) {
            throw failure("a number must not have leading zeros")
        }
        while digit(at: position) { position += 1 }
        var integral = true
        if position < text.count, text[position] == UInt8(ascii: ".") {
            integral = false
            position += 1
            guard digit(at: position) else { throw failure("a fraction needs a digit") }
            while digit(at: position) { position += 1 }
        }
        if position < text.count, text[position] == UInt8(ascii: "e") || text[position] == UInt8(ascii: "E") {
            integral = false
            position += 1
            if position < text.count,
                text[position] == UInt8(ascii: "+") || text[position] == UInt8(ascii: "-")
            {
                position += 1
            }
            guard digit(at: position) else { throw failure("an exponent needs a digit") }
            while digit(at: position) { position += 1 }
        }
        if position - start > 4096 { throw failure("a number of more than 4096 characters") }
        let spelled = String(decoding: UnsafeBufferPointer(rebasing: text[start..<position]), as: UTF8.self)
        // "-0" is a number, not the integer zero: no field that wants an integer means it.
        if integral, spelled != "-0", let integer = Int64(spelled) { return .integer(integer) }
        guard let number = Double(spelled), number.isFinite else {
            throw Failure(reason: "a number beyond the range of a double", offset: start)
        }
        return .number(number)
    }

    mutating func parseString() throws(Failure) -> String {
        position += 1
        let start = position
        // The common case: no escapes. One scan, then one validated copy.
        while position < text.count {
            let byte = text[position]
            if byte == UInt8(ascii: "\"") {
                let slice = UnsafeBufferPointer(rebasing: text[start..<position])
                guard let string = String(validating: slice, as: UTF8.self) else {
                    throw Failure(reason: "invalid UTF-8 in a string", offset: start)
                }
                position += 1
                return string
            }
            if byte == UInt8(ascii: "\\") { break }
            if byte < 0x20 { throw failure("a raw control character in a string") }
            position += 1
        }
        var bytes = Array(text[start..<position])
        while position < text.count {
            let byte = text[position]
            if byte == UInt8(ascii: "\"") {
                guard let string = String(validating: bytes, as: UTF8.self) else {
                    throw Failure(reason: "invalid UTF-8 in a string", offset: start)
                }
                position += 1
                return string
            }
            if byte < 0x20 { throw failure("a raw control character in a string") }
            if byte == UInt8(ascii: "\\") {
                try parseEscape(into: &bytes)
            } else {
                bytes.append(byte)
                position += 1
            }
        }
        throw failure("a string without an end")
    }

    private mutating func parseEscape(into bytes: inout [UInt8]) throws(Failure) {
        position += 1
        guard position < text.count else { throw failure("unexpected end of text") }
        let kind = text[position]
        position += 1
        switch kind {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): bytes.append(kind)
        case UInt8(ascii: "b"): bytes.append(0x08)
        case UInt8(ascii: "f"): bytes.append(0x0C)
        case UInt8(ascii: "n"): bytes.append(0x0A)
        case UInt8(ascii: "r"): bytes.append(0x0D)
        case UInt8(ascii: "t"): bytes.append(0x09)
        case UInt8(ascii: "u"):
            var code = UInt32(try parseHex4())
            if (0xD800..<0xDC00).contains(code) {
                guard position + 1 < text.count, text[position] == UInt8(ascii: "\\"),
                    text[position + 1] == UInt8(ascii: "u")
                else { throw failure("a lone surrogate") }
                position += 2
                let low = UInt32(try parseHex4())
                guard (0xDC00..<0xE000).contains(low) else { throw failure("a lone surrogate") }
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw failure("a lone surrogate") }
            bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        default: throw failure("an unknown escape")
        }
    }

    private mutating func parseHex4() throws(Failure) -> UInt16 {
        guard position + 4 <= text.count else { throw failure("unexpected end of text") }
        var value: UInt16 = 0
        for _ in 0..<4 {
            let byte = text[position]
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            default: throw failure("an escape needs four hexadecimal digits")
            }
            value = value << 4 | UInt16(digit)
            position += 1
        }
        return value
    }
}
