// SPDX-License-Identifier: Apache-2.0

/// Lines, indentation, and the collections that it makes.
extension StrictYAML {
    func failure(_ reason: String) -> Failure {
        Failure(reason: reason, line: min(row, lines.count - 1) + 1)
    }

    /// The byte where the parser stands; `nil` at the end of the line or of the text.
    var current: UInt8? { byte(0) }

    /// The byte so far ahead in this line.
    func byte(_ ahead: Int) -> UInt8? {
        guard row < lines.count else { return nil }
        let line = lines[row]
        let index = line.startIndex + column + ahead
        return index < line.endIndex ? line[index] : nil
    }

    /// Whether the byte so far ahead is a space or the line's end.
    func isSpaceOrEnd(_ ahead: Int) -> Bool { byte(ahead).map { $0 == UInt8(ascii: " ") } ?? true }

    /// Whether this line begins with a document's marker.
    func isMarker(_ marker: StaticString) -> Bool {
        let line = lines[row]
        guard line.count >= 3, (0..<3).allSatisfy({ line[line.startIndex + $0] == marker.utf8Start[$0] })
        else { return false }
        return line.count == 3 || [UInt8(ascii: " "), UInt8(ascii: "\t")].contains(line[line.startIndex + 3])
    }

    /// Goes to the first byte of the next line that says something; a line that the parser stands in the middle of
    /// counts as read.
    mutating func skipBlank() throws(Failure) {
        if row < lines.count, lines[row].prefix(column).contains(where: { $0 != UInt8(ascii: " ") }) {
            row += 1
        }
        column = 0
        while row < lines.count {
            column = lines[row].prefix { $0 == UInt8(ascii: " ") }.count
            switch current {
            case nil, UInt8(ascii: "#"): (row, column) = (row + 1, 0)
            case UInt8(ascii: "\t"):
                throw failure("has a tab before its text; YAML indents with spaces")
            case UInt8(ascii: "%") where column == 0: throw failure("is a directive; leave it out")
            default: return
            }
        }
    }

    mutating func skipSpaces() { while current == UInt8(ascii: " ") { column += 1 } }

    /// Leaves a line whose value has been read.
    mutating func endLine(_ hint: String = "quote the text") throws(Failure) {
        skipSpaces()
        switch current {
        case nil: break
        case UInt8(ascii: "#") where byte(-1) == UInt8(ascii: " "): break
        default: throw failure("has more text after its value; \(hint)")
        }
        (row, column) = (row + 1, 0)
    }

    /// Counts a value, and notes where it begins.
    mutating func begin() throws(Failure) {
        values += 1
        if values > limits.values { throw failure("the text has more than \(limits.values) values") }
        note(row)
    }

    /// Remembers the line of the value named by ``path``; long paths and very many are not worth their memory.
    mutating func note(_ row: Int) {
        guard places.count < 10_000, path.reduce(0, { $0 + $1.utf8.count + 1 }) <= 256 else { return }
        let key = path.joined(separator: ".")
        if places[key] == nil { places[key] = row + 1 }
    }

    mutating func enter() throws(Failure) {
        depth += 1
        if depth > limits.depth { throw failure("is nested deeper than \(limits.depth)") }
    }

    /// The value that begins where the parser stands; leaves the parser at the beginning of a line.
    /// - Parameter parent: The column of the collection that it stands in; −1 for a document.
    mutating func blockNode(parent: Int) throws(Failure) -> JSONValue {
        try begin()
        if current == UInt8(ascii: "-"), isSpaceOrEnd(1) { return try blockSequence() }
        if try beginsKey() { return try blockMapping() }
        return try inlineValue(parent: parent)
    }

    private mutating func blockSequence() throws(Failure) -> JSONValue {
        try enter()
        let indent = column
        var elements: [JSONValue] = []
        while true {
            path.append("[\(elements.count)]")
            column += 1
            skipSpaces()
            if current == nil || current == UInt8(ascii: "#") {
                elements.append(try nestedValue(indent: indent, allowsSequence: false))
            } else {
                elements.append(try blockNode(parent: indent))
            }
            path.removeLast()
            try skipBlank()
            guard try continues(indent), current == UInt8(ascii: "-"), isSpaceOrEnd(1) else { break }
        }
        depth -= 1
        return .array(elements)
    }

    private mutating func blockMapping() throws(Failure) -> JSONValue {
        try enter()
        let indent = column
        var object = JSONObject()
        while true {
            let line = row
            let key = try key()
            guard current == UInt8(ascii: ":"), isSpaceOrEnd(1) else {
                throw failure("has a key without “: ” after it")
            }
            if object[key] != nil { throw failure("has the key \"\(key.prefix(64))\" for the second time") }
            column += 1
            path.append(key)
            note(line)
            skipSpaces()
            if current == nil || current == UInt8(ascii: "#") {
                object[key] = try nestedValue(indent: indent, allowsSequence: true)
            } else {
                try begin()
                object[key] = try inlineValue(parent: indent)
            }
            path.removeLast()
            try skipBlank()
            guard try continues(indent), !(current == UInt8(ascii: "-") && isSpaceOrEnd(1)) else { break }
            guard try beginsKey() else { throw failure("is not of the form “key: value”") }
        }
        depth -= 1
        return .object(object)
    }

    /// The value that stands below its key or dash; null if there is none.
    /// - Parameter allowsSequence: Whether a list may stand in the very column of the key.
    private mutating func nestedValue(indent: Int, allowsSequence: Bool) throws(Failure) -> JSONValue {
        try skipBlank()
        let isBelow = row < lines.count && !isMarker("---") && !isMarker("...")
        let isSequence = isBelow && current == UInt8(ascii: "-") && isSpaceOrEnd(1)
        guard isBelow, column > indent || (allowsSequence && column == indent && isSequence) else {
            try begin()
            return .null
        }
        return try blockNode(parent: indent)
    }

    /// Whether the line goes on with the collection in this column.
    private func continues(_ indent: Int) throws(Failure) -> Bool {
        guard row < lines.count, column >= indent, !isMarker("---"), !isMarker("...") else { return false }
        if column > indent {
            throw failure(
                "is indented deeper than what it follows; long text is quoted, or written after | or >")
        }
        return true
    }

    /// Whether a key begins here.
    private func beginsKey() throws(Failure) -> Bool {
        var ahead = self
        switch current {
        case UInt8(ascii: "?") where isSpaceOrEnd(1):
            throw failure("has a key of several parts (“? ”); write “key: value”")
        case UInt8(ascii: "\""), UInt8(ascii: "'"):
            _ = try ahead.quoted()
            ahead.skipSpaces()
            return ahead.current == UInt8(ascii: ":") && ahead.isSpaceOrEnd(1)
        case UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: "|"), UInt8(ascii: ">"): return false
        default:
            while let byte = ahead.current {
                if byte == UInt8(ascii: ":"), ahead.isSpaceOrEnd(1) { return true }
                if byte == UInt8(ascii: "#"), ahead.column > 0, ahead.byte(-1) == UInt8(ascii: " ") {
                    return false
                }
                ahead.column += 1
            }
            return false
        }
    }

    /// A key and the white space after it.
    mutating func key(inFlow: Bool = false) throws(Failure) -> String {
        let key: String
        if current == UInt8(ascii: "\"") || current == UInt8(ascii: "'") {
            key = try quoted()
        } else {
            key = try plain(inFlow: inFlow, isKey: true)
        }
        skipSpaces()
        if key.utf8.count > 512 { throw failure("has a key of more than 512 bytes") }
        if key == "<<" { throw failure("has a merge key “<<”; write the members out") }
        return key
    }

    /// A value that begins in the middle of a line; goes to the beginning of the line after it.
    private mutating func inlineValue(parent: Int) throws(Failure) -> JSONValue {
        switch current {
        case UInt8(ascii: "|"), UInt8(ascii: ">"): return .string(try blockScalar(parent: parent))
        case UInt8(ascii: "["), UInt8(ascii: "{"):
            let value = try flow()
            try endLine()
            return value
        case UInt8(ascii: "\""), UInt8(ascii: "'"):
            let text = try quoted()
            try endLine()
            return .string(text)
        default:
            let value = try PlainScalar.value(of: try plain(inFlow: false, isKey: false), at: row + 1)
            try endLine()
            return value
        }
    }
}
