// SPDX-License-Identifier: Apache-2.0

/// What text without quotes means.
///
/// `null`, `~`, `true`, `false` and JSON's numbers are what they seem; everything else is text, unless some reader of
/// YAML 1.1 or 1.2 would take it for something else: that is refused, so that no value changes under somebody's eyes.
enum PlainScalar {
    /// The value of a plain scalar.
    /// - Throws: ``StrictYAML/Failure`` for a word that readers disagree on.
    static func value(of text: String, at line: Int) throws(StrictYAML.Failure) -> JSONValue {
        switch text {
        case "", "~", "null": return .null
        case "true": return .bool(true)
        case "false": return .bool(false)
        default: break
        }
        let lower = text.lowercased()
        switch lower {
        case "true", "yes", "on", "y": throw unclear(text, "write true, or quote it if it is text", line)
        case "false", "no", "off", "n": throw unclear(text, "write false, or quote it if it is text", line)
        case "null": throw unclear(text, "write null, or quote it if it is text", line)
        case ".nan", "nan", ".inf", "+.inf", "-.inf", "inf", "+inf", "-inf", "infinity", "-infinity":
            throw StrictYAML.Failure(
                reason: "“\(text)” is no finite number; write a number, or quote it if it is text", line: line
            )
        case "=": throw unclear(text, "quote it", line)
        default: break
        }
        guard looksLikeNumber(lower) else { return .string(text) }
        do {
            return try StrictJSON.parse(text)
        } catch {
            let isRange = error.reason.hasPrefix("a number beyond")
            throw isRange
                ? StrictYAML.Failure(
                    reason: "“\(text.prefix(64))” is beyond the range of a double; quote it if it is text",
                    line: line)
                : unclear(
                    text,
                    "write plain decimal digits without leading zeros, as 511 or 0.5, or quote it if it is text",
                    line)
        }
    }

    private static func unclear(_ text: String, _ remedy: String, _ line: Int) -> StrictYAML.Failure {
        StrictYAML.Failure(
            reason: "“\(text.prefix(64))” means different things to different readers of YAML; \(remedy)",
            line: line)
    }

    /// Whether any reader takes it for a number: decimal, octal, hexadecimal, binary, or of base 60.
    private static func looksLikeNumber(_ text: String) -> Bool {
        var rest = Array(text.utf8)[...]
        if let sign = rest.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
            rest = rest.dropFirst()
        }
        func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
        func isLoose(_ byte: UInt8) -> Bool {
            isDigit(byte) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ",")
        }
        guard let first = rest.first, isDigit(first) || first == UInt8(ascii: ".") else { return false }
        let hexadecimal = "0123456789abcdef_".utf8
        for (prefix, digits) in [("0x", hexadecimal), ("0o", "01234567_".utf8), ("0b", "01_".utf8)]
        where rest.starts(with: prefix.utf8) {
            return rest.count > 2 && rest.dropFirst(2).allSatisfy(digits.contains)
        }
        guard rest.contains(where: isDigit) else { return false }
        let whole = rest.prefix(while: isLoose)
        rest = rest.dropFirst(whole.count)
        var isSixty = false
        while rest.first == UInt8(ascii: ":"), !whole.isEmpty {
            let digits = rest.dropFirst().prefix(while: isDigit)
            guard !digits.isEmpty, digits.count <= 2 else { return false }
            rest = rest.dropFirst(1 + digits.count)
            isSixty = true
        }
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            rest = rest.dropFirst(rest.prefix(while: isLoose).count)
        }
        if !isSixty, rest.first == UInt8(ascii: "e") {
            rest = rest.dropFirst()
            if rest.first == UInt8(ascii: "+") || rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
            let digits = rest.prefix(while: isDigit)
            // “1e” is text to everybody.
            guard !digits.isEmpty else { return false }
            rest = rest.dropFirst(digits.count)
        }
        return rest.isEmpty
    }
}
