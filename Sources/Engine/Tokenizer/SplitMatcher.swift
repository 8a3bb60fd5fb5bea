// SPDX-License-Identifier: Apache-2.0

/// What a splitting pre-tokenizer does with a match and its surroundings.
enum SplitBehavior: String, Sendable {
    case removed = "Removed"
    case isolated = "Isolated"
    case mergedWithPrevious = "MergedWithPrevious"
    case mergedWithNext = "MergedWithNext"
    case contiguous = "Contiguous"

    init(_ fields: TokenizerFields, default fallback: SplitBehavior?) throws(TokenizerError) {
        guard let name = try fields.optionalString("behavior") else {
            guard let fallback else { throw fields.wrong("behavior", "a splitting behaviour") }
            self = fallback
            return
        }
        guard let behavior = SplitBehavior(rawValue: name) else {
            throw .unsupported(
                "\(fields.place).behavior is \(name)",
                supported: "Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous")
        }
        self = behavior
    }
}

/// A simple thing to split at.
enum SplitMatcher: Sendable {
    case text([UInt8])
    case numbers
    case punctuation
    /// `[0-9][0-9][0-9]`, of Falcon.
    case threeDigits

    init?(expression: String) {
        switch expression {
        case "[0-9][0-9][0-9]", "[0-9]{3}": self = .threeDigits
        case #"\p{N}"#: self = .numbers
        default: return nil
        }
    }

    /// The length of a match at `position`, or 0.
    private func match(_ pieces: borrowing Pieces, at position: Int, end: Int) -> Int {
        switch self {
        case .text(let text):
            guard position + text.count <= end else { return 0 }
            for offset in text.indices where pieces.bytes[position + offset] != text[offset] { return 0 }
            return text.count
        case .numbers:
            let (scalar, length) = pieces.scalar(at: position)
            return CharacterClass(scalar) == .number ? length : 0
        case .punctuation:
            let (scalar, length) = pieces.scalar(at: position)
            // ASCII symbols such as $ and + count as well.
            let isASCIISymbol =
                (0x21...0x2F).contains(scalar) || (0x3A...0x40).contains(scalar)
                || (0x5B...0x60).contains(scalar) || (0x7B...0x7E).contains(scalar)
            return isASCIISymbol || CharacterClass(scalar) == .punctuation ? length : 0
        case .threeDigits:
            guard position + 3 <= end else { return 0 }
            for offset in 0..<3 where !(0x30...0x39).contains(pieces.bytes[position + offset]) { return 0 }
            return 3
        }
    }

    /// Appends the ends of the parts of `range`. Parts that are not matches are found between matches.
    func split(
        _ pieces: borrowing Pieces, _ range: Range<Int>, _ behavior: SplitBehavior, _ invert: Bool,
        into ends: inout [Int]
    ) {
        var open = false
        var lastWasMatch = false
        func part(_ end: Int, isMatch: Bool) {
            switch behavior {
            case .isolated, .removed: ends.append(end)
            case .contiguous:
                if open, lastWasMatch == isMatch { ends[ends.count - 1] = end } else { ends.append(end) }
            case .mergedWithPrevious:
                if open, isMatch, !lastWasMatch { ends[ends.count - 1] = end } else { ends.append(end) }
            case .mergedWithNext:
                if open, lastWasMatch, !isMatch { ends[ends.count - 1] = end } else { ends.append(end) }
            }
            open = true
            lastWasMatch = isMatch
        }
        var position = range.lowerBound
        var gapStart = position
        while position < range.upperBound {
            let length = match(pieces, at: position, end: range.upperBound)
            guard length > 0 else {
                position += pieces.isByteMapped ? 1 : UTF8Scanner.length(ofLead: pieces.bytes[position])
                continue
            }
            if gapStart < position { part(position, isMatch: invert) }
            position += length
            part(position, isMatch: !invert)
            gapStart = position
        }
        if gapStart < range.upperBound { part(range.upperBound, isMatch: invert) }
    }
}
