// SPDX-License-Identifier: Apache-2.0

/// Text in its forms, and flow collections.
extension StrictYAML {
    /// Text without quotes, without the white space after it.
    mutating func plain(inFlow: Bool, isKey: Bool) throws(Failure) -> String {
        try checkPlainStart(inFlow: inFlow)
        let start = column
        var end = column
        scan: while let byte = current {
            switch byte {
            case UInt8(ascii: ":") where isSpaceOrEnd(1):
                if isKey || inFlow { break scan }
                throw failure("has “: ” within a value; quote the text")
            case UInt8(ascii: "#") where column > start && self.byte(-1) == UInt8(ascii: " "): break scan
            case UInt8(ascii: ","), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "{"),
                UInt8(ascii: "}"):
                if inFlow { break scan }
                column += 1
                end = column
            case UInt8(ascii: "\t"): throw failure("has a tab; use spaces, or quote the text")
            case UInt8(ascii: " "): column += 1
            default:
                // Readers of YAML 1.1 and 1.2 split “a:b” in a list in their own ways where a bracket follows.
                if byte == UInt8(ascii: ":"), inFlow, let next = self.byte(1), ",?[]{}".utf8.contains(next) {
                    throw failure("has “:” before “\(Character(Unicode.Scalar(next)))”; put a space between")
                }
                column += 1
                end = column
            }
        }
        let line = lines[row]
        return String(decoding: line[(line.startIndex + start)..<(line.startIndex + end)], as: UTF8.self)
    }

    private func checkPlainStart(inFlow: Bool) throws(Failure) {
        switch current {
        case UInt8(ascii: "&"):
            throw failure("has an anchor; write the value where it is needed, or quote the text")
        case UInt8(ascii: "*"): throw failure("has an alias; write the value out, or quote the text")
        case UInt8(ascii: "!"): throw failure("has a tag; leave it out, or quote the text")
        case UInt8(ascii: "|"), UInt8(ascii: ">"):
            throw failure("has “|” or “>” where no block of text can begin")
        case UInt8(ascii: "@"), UInt8(ascii: "`"), UInt8(ascii: "%"):
            throw failure("has text that begins with “\(shown)”, which YAML reserves; quote it")
        case UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"), UInt8(ascii: "["), UInt8(ascii: "{"),
            UInt8(ascii: "#"):
            throw failure("has “\(shown)” where a value is due; quote the text")
        case UInt8(ascii: "?") where inFlow, UInt8(ascii: ":") where inFlow:
            throw failure("has “\(shown)” where a value is due; quote the text")
        case UInt8(ascii: "-"), UInt8(ascii: "?"), UInt8(ascii: ":"):
            let next = byte(1)
            if isSpaceOrEnd(1) || next == UInt8(ascii: "\t")
                || inFlow && next.map(",[]{}".utf8.contains) == true
            {
                throw failure("has “\(shown)” where a value is due; quote the text")
            }
        case UInt8(ascii: "\t"): throw failure("has a tab; use spaces")
        case nil: throw failure("ends where a value is due")
        default: break
        }
    }

    private var shown: Character { Character(Unicode.Scalar(current ?? 0x20)) }

    /// Text in single or double quotes, on one line.
    mutating func quoted() throws(Failure) -> String {
        let quote = current ?? 0
        let isDouble = quote == UInt8(ascii: "\"")
        column += 1
        var bytes: [UInt8] = []
        while let byte = current {
            column += 1
            if byte == quote {
                if isDouble || current != quote { return String(decoding: bytes, as: UTF8.self) }
                column += 1
                bytes.append(quote)
            } else if isDouble, byte == UInt8(ascii: "\\") {
                bytes.append(contentsOf: try escape())
            } else {
                bytes.append(byte)
            }
        }
        throw failure("has a quote that does not end on its line; long text is written after | or >")
    }

    private mutating func escape() throws(Failure) -> [UInt8] {
        let kind = current ?? 0
        column += 1
        switch kind {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [kind]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "x"): return try scalar(digits: 2)
        case UInt8(ascii: "u"): return try scalar(digits: 4)
        case UInt8(ascii: "U"): return try scalar(digits: 8)
        default:
            throw failure(
                "has an escape that is not known; known are \\\" \\\\ \\/ \\n \\t \\r \\b \\f \\x \\u \\U")
        }
    }

    private mutating func scalar(digits: Int) throws(Failure) -> [UInt8] {
        var value: UInt32 = 0
        for _ in 0..<digits {
            guard let digit = current.flatMap({ Character(Unicode.Scalar($0)).hexDigitValue }),
                value < 1 << 28
            else {
                throw failure("has an escape without its \(digits) hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
            column += 1
        }
        guard value != 0, let scalar = Unicode.Scalar(value), let bytes = UTF8.encode(scalar) else {
            throw failure("has an escape that is no character")
        }
        return Array(bytes)
    }

    /// The lines after `|`, or `>`, which joins them; `-` drops the last line feed and `+` keeps all.
    mutating func blockScalar(parent: Int) throws(Failure) -> String {
        guard parent >= 0 else { throw failure("has text where a mapping is due; write “key: |”") }
        let isFolded = current == UInt8(ascii: ">")
        column += 1
        let chomping = current == UInt8(ascii: "-") || current == UInt8(ascii: "+") ? current : nil
        if chomping != nil { column += 1 }
        try endLine("only - or + may follow | or >")
        var indent: Int?
        var texts: [String] = []
        while row < lines.count {
            let line = lines[row]
            let spaces = line.prefix { $0 == UInt8(ascii: " ") }.count
            if spaces == line.count {
                if let indent, spaces > indent {
                    throw failure("has spaces and nothing else within a block of text")
                }
                // Before the first line of text it would be unclear how deep the block is.
                if indent == nil, spaces > 0 {
                    throw failure("has spaces and nothing else before a block of text")
                }
                texts.append("")
            } else {
                let depth = indent ?? spaces
                guard depth > parent, spaces >= depth else { break }
                let text = line.dropFirst(depth)
                if indent == nil, text.first == UInt8(ascii: "\t") {
                    throw failure("has a tab before its text; YAML indents with spaces")
                }
                indent = depth
                if isFolded, text.first == UInt8(ascii: " ") || text.first == UInt8(ascii: "\t") {
                    throw failure(
                        "is indented within text after >, which joins lines; use | to keep their form")
                }
                texts.append(String(decoding: text, as: UTF8.self))
            }
            row += 1
        }
        column = 0
        let last = texts.lastIndex { !$0.isEmpty }.map { $0 + 1 } ?? 0
        let body = Array(texts[..<last])
        var text = isFolded ? Self.fold(body) : body.joined(separator: "\n")
        let blank = texts.count - last
        // The last line of a file may lack its line feed.
        let isEnded = row < lines.count || blank > 0
        switch chomping {
        case UInt8(ascii: "-"): break
        case UInt8(ascii: "+"):
            // The line after the last line feed of the file is none.
            let open = row == lines.count && blank > 0 ? 1 : 0
            text += String(repeating: "\n", count: blank - open + (last > 0 && isEnded ? 1 : 0))
        default: if last > 0, isEnded { text += "\n" }
        }
        return text
    }

    /// Joins lines with spaces; blank lines become line feeds.
    private static func fold(_ lines: [String]) -> String {
        var text = ""
        var blank = 0
        for (index, line) in lines.enumerated() {
            if line.isEmpty {
                blank += 1
                continue
            }
            if blank > 0 {
                text += String(repeating: "\n", count: blank)
            } else if index > 0 {
                text += " "
            }
            blank = 0
            text += line
        }
        return text
    }

    /// A list in brackets or a mapping in braces, on one line or several.
    mutating func flow() throws(Failure) -> JSONValue {
        try enter()
        let opened = row
        let isList = current == UInt8(ascii: "[")
        let end = isList ? UInt8(ascii: "]") : UInt8(ascii: "}")
        column += 1
        var elements: [JSONValue] = []
        var object = JSONObject()
        while true {
            try skipFlowSpace(opened)
            if current == end { break }
            if isList {
                path.append("[\(elements.count)]")
                elements.append(try flowValue())
            } else {
                let line = row
                let isQuoted = current == UInt8(ascii: "\"") || current == UInt8(ascii: "'")
                let key = try key(inFlow: true)
                guard current == UInt8(ascii: ":"), isQuoted || isSpaceOrEnd(1) else {
                    throw failure("has a key in braces without “: ” after it")
                }
                if object[key] != nil {
                    throw failure("has the key \"\(key.prefix(64))\" for the second time")
                }
                column += 1
                try skipFlowSpace(opened)
                path.append(key)
                note(line)
                object[key] = try flowValue()
            }
            path.removeLast()
            try skipFlowSpace(opened)
            if current == UInt8(ascii: ",") {
                column += 1
            } else if current != end {
                throw failure(
                    "has no “,” or “\(Character(Unicode.Scalar(end)))” after a value that began in line \(opened + 1)"
                )
            }
        }
        column += 1
        depth -= 1
        return isList ? .array(elements) : .object(object)
    }

    private mutating func flowValue() throws(Failure) -> JSONValue {
        try begin()
        switch current {
        case UInt8(ascii: "["), UInt8(ascii: "{"): return try flow()
        case UInt8(ascii: "\""), UInt8(ascii: "'"): return .string(try quoted())
        default:
            let line = row + 1
            return try PlainScalar.value(of: try plain(inFlow: true, isKey: false), at: line)
        }
    }

    /// Goes to the next byte that says something, in whichever line.
    private mutating func skipFlowSpace(_ opened: Int) throws(Failure) {
        while true {
            skipSpaces()
            if current == UInt8(ascii: "\t") { throw failure("has a tab; use spaces") }
            let isComment = current == UInt8(ascii: "#") && (column == 0 || byte(-1) == UInt8(ascii: " "))
            guard current == nil || isComment else { return }
            (row, column) = (row + 1, 0)
            guard row < lines.count, !isMarker("---"), !isMarker("...") else {
                throw Failure(reason: "has a bracket or brace that is never closed", line: opened + 1)
            }
        }
    }
}
