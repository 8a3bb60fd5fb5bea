// SPDX-License-Identifier: Apache-2.0

/// A hand-written scanner for the family of regular expressions that byte-level tokenizers split words by.
///
/// Every member is `contraction | prefix? letters | digits | ␠? symbols tail | white space`; they differ in
/// the choices below. One pass, each character looked at a bounded number of times.
struct WordPattern: Hashable, Sendable {
    /// Whether contractions (`'s 't 're 've 'm 'll 'd`) match in either case.
    var foldsContractions: Bool
    /// What may stand before letters: a space only, or any character that is not a line break, letter or number.
    var takesAnyPrefix: Bool
    /// The longest run of numbers; `nil` is no limit, with one space allowed before.
    var longestNumber: Int?
    /// Whether symbols take the line breaks after them along.
    var takesLineBreaks: Bool

    /// GPT-2 (OpenAI `encoder.py`): the expression behind `ByteLevel` with `use_regex`.
    static let gpt2 = WordPattern(
        foldsContractions: false, takesAnyPrefix: false, longestNumber: nil, takesLineBreaks: false)

    private static let known: [String: WordPattern] = {
        let words = #"\s+(?!\S)|\s+"#
        let gpt2Tail = #"| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|"# + words
        func modern(_ contractions: String, _ digits: String) -> String {
            contractions + #"|[^\r\n\p{L}\p{N}]?\p{L}+|"# + digits
                + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"# + words
        }
        let folded = ["(?i:'s|'t|'re|'ve|'m|'ll|'d)", "(?i:[sdmt]|ll|ve|re)"]
        var known: [String: WordPattern] = [
            "'s|'t|'re|'ve|'m|'ll|'d" + gpt2Tail: gpt2,
            "'(?:[sdmt]|ll|ve|re)" + gpt2Tail: gpt2,
        ]
        for (digits, longest) in [#"\p{N}"#: 1, #"\p{N}{1,3}"#: 3] {
            let pattern = WordPattern(
                foldsContractions: true, takesAnyPrefix: true, longestNumber: longest, takesLineBreaks: true)
            known[modern(folded[0], digits)] = pattern
            known[modern("'" + folded[1], digits)] = pattern
        }
        return known
    }()

    /// The scanner for an expression, recognised by its exact text.
    static func recognise(_ expression: String) -> WordPattern? { known[expression] }

    private init(foldsContractions: Bool, takesAnyPrefix: Bool, longestNumber: Int?, takesLineBreaks: Bool) {
        self.foldsContractions = foldsContractions
        self.takesAnyPrefix = takesAnyPrefix
        self.longestNumber = longestNumber
        self.takesLineBreaks = takesLineBreaks
    }

    /// Appends the ends of the words of `range`.
    func split(_ pieces: borrowing Pieces, _ range: Range<Int>, into ends: inout [Int]) {
        let scanner = Scanner(bytes: pieces.bytes, isByteMapped: pieces.isByteMapped, end: range.upperBound)
        var position = range.lowerBound
        while position < range.upperBound {
            position = scanner.wordEnd(from: position, self)
            ends.append(position)
        }
    }

    /// The text and one bound; positions are byte offsets.
    private struct Scanner {
        let bytes: [UInt8]
        let isByteMapped: Bool
        let end: Int

        func peek(_ position: Int) -> (kind: CharacterClass, scalar: UInt32, length: Int)? {
            guard position < end else { return nil }
            if isByteMapped {
                let scalar = ByteLevelAlphabet.scalars[Int(bytes[position])].value
                return (CharacterClass(scalar), scalar, 1)
            }
            let (scalar, length) = UTF8Scanner.decode(bytes.span, at: position)
            return (CharacterClass(scalar), scalar, length)
        }

        /// Skips characters while `condition` holds, at most `limit` of them.
        func skip(
            from start: Int, limit: Int = .max, while condition: (CharacterClass, UInt32) -> Bool
        ) -> Int {
            var position = start
            var taken = 0
            while taken < limit, let next = peek(position), condition(next.kind, next.scalar) {
                position += next.length
                taken += 1
            }
            return position
        }

        static func isSymbol(_ kind: CharacterClass) -> Bool { kind == .punctuation || kind == .other }
        static func isLineBreak(_ scalar: UInt32) -> Bool { scalar == 0x0A || scalar == 0x0D }

        /// The end of the word that starts at `start`, which lies before the end of the text.
        func wordEnd(from start: Int, _ pattern: WordPattern) -> Int {
            guard let first = peek(start) else { return end }
            if first.scalar == 0x27,
                let length = contraction(after: start + 1, folds: pattern.foldsContractions)
            {
                return start + 1 + length
            }
            let second = start + first.length
            let spacePrefix = first.scalar == 0x20
            if first.kind == .letter { return letters(from: start) }
            let mayPrefix =
                pattern.takesAnyPrefix
                ? first.kind != .number && !Self.isLineBreak(first.scalar) : spacePrefix
            if mayPrefix, peek(second)?.kind == .letter { return letters(from: second) }
            if first.kind == .number {
                return skip(from: start, limit: pattern.longestNumber ?? .max) { kind, _ in kind == .number }
            }
            if spacePrefix, pattern.longestNumber == nil, peek(second)?.kind == .number {
                return skip(from: second) { kind, _ in kind == .number }
            }
            let symbols = spacePrefix ? second : start
            if let next = peek(symbols), Self.isSymbol(next.kind) {
                let after = skip(from: symbols) { kind, _ in Self.isSymbol(kind) }
                guard pattern.takesLineBreaks else { return after }
                return skip(from: after) { _, scalar in Self.isLineBreak(scalar) }
            }
            return whiteSpace(from: start, pattern)
        }

        private func letters(from start: Int) -> Int { skip(from: start) { kind, _ in kind == .letter } }

        /// `\s*[\r\n]+|\s+(?!\S)|\s+`, the first alternative only where the pattern takes line breaks.
        private func whiteSpace(from start: Int, _ pattern: WordPattern) -> Int {
            var position = start
            var lastStart = start
            var afterBreak: Int?
            while let next = peek(position), next.kind == .space {
                lastStart = position
                position += next.length
                if Self.isLineBreak(next.scalar) { afterBreak = position }
            }
            if pattern.takesLineBreaks, let afterBreak { return afterBreak }
            // Before a word the last white space character stays behind, unless it is the only one.
            return position == end || lastStart == start ? position : lastStart
        }

        /// The length of the letters of a contraction whose apostrophe ends at `start`.
        private func contraction(after start: Int, folds: Bool) -> Int? {
            func letter(_ position: Int) -> (UInt32, Int)? {
                guard let next = peek(position) else { return nil }
                if folds, (0x41...0x5A).contains(next.scalar) { return (next.scalar + 0x20, next.length) }
                // U+017F, the long s, is an s where case does not matter.
                if folds, next.scalar == 0x17F { return (0x73, next.length) }
                return (next.scalar, next.length)
            }
            guard let (first, length) = letter(start) else { return nil }
            switch first {
            case 0x73, 0x74, 0x6D, 0x64: return length  // s t m d
            default: break
            }
            guard let (second, secondLength) = letter(start + length) else { return nil }
            switch (first, second) {
            case (0x72, 0x65), (0x76, 0x65), (0x6C, 0x6C): return length + secondLength  // re ve ll
            default: return nil
            }
        }
    }
}
