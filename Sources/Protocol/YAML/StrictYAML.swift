// SPDX-License-Identifier: Apache-2.0

/// A YAML reader for hostile input: the part of YAML 1.2 that every reader understands alike.
///
/// It reads block and flow collections, quoted, plain, literal and folded text, comments, and several documents. It
/// refuses what can blow up (anchors and aliases), what carries types of its own (tags), what hides data (repeated
/// keys, merge keys), and plain words that readers disagree on: `no`, `0777`, `1_000`, `.nan`, `12:30`. What it accepts
/// any other YAML reader takes the same way. Time is linear in the input.
package struct StrictYAML {
    /// How much structure one text may have.
    package struct Limits: Sendable {
        /// Most bytes of the whole text.
        package var bytes: Int
        /// Deepest nesting of lists and mappings.
        package var depth: Int
        /// Most values in the whole text.
        package var values: Int

        /// Limits with defaults for files that people write.
        package init(bytes: Int = 1 << 20, depth: Int = 64, values: Int = 100_000) {
            self.bytes = bytes
            self.depth = depth
            self.values = values
        }
    }

    /// Why a text was refused, and where.
    package struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
        /// The rule that was broken and what to write instead, in words.
        package var reason: String
        /// Counts from 1.
        package var line: Int

        package var description: String { "line \(line): \(reason)" }
    }

    /// One document of a text.
    package struct Document: Hashable, Sendable {
        /// What it says.
        package var value: JSONValue
        /// Where each value begins, by its path as ``JSONValueDecoder/Failure/field`` writes it.
        package var lines: [String: Int]

        /// The line of the member named, or of the nearest one around it.
        package func line(of field: String) -> Int {
            var field = field[...]
            while true {
                if let line = lines[String(field)] { return line }
                guard let dot = field.lastIndex(of: ".") else { return lines[""] ?? 1 }
                field = field[..<dot]
            }
        }
    }

    /// Reads all documents of a text; none if it holds only comments.
    ///
    /// - Parameters:
    ///   - bytes: UTF-8 text.
    ///   - limits: How much structure is accepted.
    /// - Throws: ``Failure`` naming the rule and the line.
    package static func parse(_ bytes: [UInt8], limits: Limits = Limits()) throws(Failure) -> [Document] {
        guard bytes.count <= limits.bytes else {
            throw Failure(reason: "the text has more than \(limits.bytes) bytes", line: 1)
        }
        var parser = StrictYAML(lines: try split(bytes), limits: limits)
        return try parser.documents()
    }

    /// Reads a text given as a string.
    /// - Throws: ``Failure`` naming the rule and the line.
    package static func parse(_ text: String, limits: Limits = Limits()) throws(Failure) -> [Document] {
        try parse(Array(text.utf8), limits: limits)
    }

    /// The text's lines without their ends.
    let lines: [ArraySlice<UInt8>]
    let limits: Limits
    /// Where the parser stands.
    var row = 0
    var column = 0
    var depth = 0
    var values = 0
    /// The path of the value being read, and where each began.
    var path: [String] = []
    var places: [String: Int] = [:]

    private init(lines: [ArraySlice<UInt8>], limits: Limits) {
        self.lines = lines
        self.limits = limits
    }

    /// Splits at line feeds and refuses what no line of YAML may hold.
    private static func split(_ bytes: [UInt8]) throws(Failure) -> [ArraySlice<UInt8>] {
        var lines: [ArraySlice<UInt8>] = []
        for piece in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            let line = piece.last == UInt8(ascii: "\r") ? piece.dropLast() : piece
            let number = lines.count + 1
            guard let text = String(validating: line, as: UTF8.self) else {
                throw Failure(reason: "is not UTF-8 text", line: number)
            }
            for scalar in text.unicodeScalars {
                switch scalar.value {
                // Some readers end a line at these.
                case 0x00..<0x09, 0x0A..<0x20, 0x7F..<0xA0, 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF:
                    throw Failure(
                        reason:
                            "has the character U+\(hex(scalar.value)), which YAML does not print; "
                            + "write it as an escape in double quotes", line: number)
                default: continue
                }
            }
            lines.append(line)
        }
        return lines
    }

    private static func hex(_ value: UInt32) -> String {
        let digits = String(value, radix: 16, uppercase: true)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    private mutating func documents() throws(Failure) -> [Document] {
        var documents: [Document] = []
        while true {
            try skipBlank()
            var isMarked = false
            if row < lines.count, isMarker("---") {
                try endMarker()
                isMarked = true
                try skipBlank()
            }
            guard row < lines.count else {
                if isMarked { documents.append(empty()) }
                return documents
            }
            if isMarker("---") {
                documents.append(empty())
                continue
            }
            if isMarker("...") {
                guard isMarked || !documents.isEmpty else {
                    throw failure("ends a document before one begins")
                }
                if isMarked { documents.append(empty()) }
                try endMarker()
                try skipBlank()
                guard row == lines.count || isMarker("---") || isMarker("...") else {
                    throw failure("begins a document after “...” without “---”")
                }
                continue
            }
            places = [:]
            let value = try blockNode(parent: -1)
            documents.append(Document(value: value, lines: places))
            try skipBlank()
            guard row == lines.count || isMarker("---") || isMarker("...") else {
                throw failure("is not indented as anything above it")
            }
        }
    }

    private func empty() -> Document { Document(value: .null, lines: ["": max(1, min(row, lines.count))]) }

    /// Leaves a line with `---` or `...`, on which nothing else may stand.
    private mutating func endMarker() throws(Failure) {
        column = 3
        try endLine("put what follows the marker on a line of its own")
    }
}
