// SPDX-License-Identifier: Apache-2.0

import Protocol

/// One token that is found in text before any word is cut.
struct AddedToken: Sendable {
    let id: Int32
    let content: String
    let isSpecial: Bool
    /// Whether it is looked for in normalised text.
    let isNormalized: Bool
    /// Whether it counts only where no word character touches it.
    let isSingleWord: Bool
    /// Whether white space before or after it belongs to it.
    let stripsLeft: Bool
    let stripsRight: Bool

    init(_ fields: TokenizerFields) throws(TokenizerError) {
        id = try fields.identifier("id")
        content = try fields.string("content")
        isSpecial = try fields.bool("special", default: false)
        isNormalized = try fields.bool("normalized", default: !isSpecial)
        isSingleWord = try fields.bool("single_word", default: false)
        stripsLeft = try fields.bool("lstrip", default: false)
        stripsRight = try fields.bool("rstrip", default: false)
        guard content.utf8.count <= 4096 else { throw fields.wrong("content", "at most 4096 bytes long") }
    }
}

/// Finds a set of added tokens in text: leftmost first, the longest of those that start together.
struct AddedTokenMatcher: Sendable {
    /// A stretch of the text, and the token that it is, if it is one.
    struct Part {
        let range: Range<Int>
        let token: Int32?
    }

    private struct Node {
        var children: [UInt8: Int] = [:]
        var token: Int?
    }

    /// Whether some of the tokens are special.
    let hasSpecials: Bool

    private let tokens: [AddedToken]
    private var nodes = [Node()]
    private var startsToken = [Bool](repeating: false, count: 256)

    /// - Parameter tokens: Each token with the bytes that it is looked for by.
    init(_ tokens: [(token: AddedToken, bytes: [UInt8])]) {
        self.tokens = tokens.map(\.token)
        hasSpecials = tokens.contains(where: \.token.isSpecial)
        for (index, entry) in tokens.enumerated() {
            guard let first = entry.bytes.first else { continue }
            startsToken[Int(first)] = true
            var node = 0
            for byte in entry.bytes {
                if let child = nodes[node].children[byte] {
                    node = child
                } else {
                    nodes.append(Node())
                    nodes[node].children[byte] = nodes.count - 1
                    node = nodes.count - 1
                }
            }
            nodes[node].token = nodes[node].token ?? index
        }
    }

    /// The longest token at `start`; a special one only if it ends at or before `dataStart`.
    private func longest(_ text: [UInt8], at start: Int, dataStart: Int) -> (token: Int, end: Int)? {
        var found: (Int, Int)?
        var node = 0
        var position = start
        while position < text.count, let child = nodes[node].children[text[position]] {
            node = child
            position += 1
            if let token = nodes[node].token, position <= dataStart || !tokens[token].isSpecial {
                found = (token, position)
            }
        }
        return found
    }

    /// The parts of `text` in order; empty stretches are left out.
    ///
    /// - Parameter data: Stretches in ascending order, none empty, that no special token may touch.
    func split(_ text: [UInt8], data: [Range<Int>] = []) -> [Part] {
        var parts: [Part] = []
        var open = 0
        var position = 0
        var nextData = 0
        while nodes.count > 1, position < text.count {
            guard startsToken[Int(text[position])] else {
                position += 1
                continue
            }
            while nextData < data.count, data[nextData].upperBound <= position { nextData += 1 }
            // Inside of data no special token ends soon enough.
            let dataStart = nextData < data.count ? data[nextData].lowerBound : text.count
            guard let match = longest(text, at: position, dataStart: dataStart) else {
                position += 1
                continue
            }
            let token = tokens[match.token]
            var start = position
            var end = match.end
            position = match.end
            if token.isSingleWord, Self.touchesWord(text, start..<end) { continue }
            if token.stripsLeft {
                while start > open {
                    let before = UTF8Scanner.start(ofCharacterBefore: start, in: text.span)
                    guard CharacterClass(UTF8Scanner.decode(text.span, at: before).scalar) == .space else {
                        break
                    }
                    start = max(before, open)
                }
            }
            if token.stripsRight {
                while end < text.count {
                    let (scalar, length) = UTF8Scanner.decode(text.span, at: end)
                    guard CharacterClass(scalar) == .space else { break }
                    end += length
                }
            }
            if open < start { parts.append(Part(range: open..<start, token: nil)) }
            parts.append(Part(range: start..<end, token: token.id))
            open = end
        }
        if open < text.count { parts.append(Part(range: open..<text.count, token: nil)) }
        return parts
    }

    private static func touchesWord(_ text: [UInt8], _ range: Range<Int>) -> Bool {
        if range.lowerBound > 0 {
            let before = UTF8Scanner.start(ofCharacterBefore: range.lowerBound, in: text.span)
            if CharacterClass.isWord(UTF8Scanner.decode(text.span, at: before).scalar) { return true }
        }
        guard range.upperBound < text.count else { return false }
        return CharacterClass.isWord(UTF8Scanner.decode(text.span, at: range.upperBound).scalar)
    }
}
