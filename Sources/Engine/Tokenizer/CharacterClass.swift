// SPDX-License-Identifier: Apache-2.0

/// The Unicode classes that pre-tokenizers tell apart: `\p{L}`, `\p{N}`, `\s`, `\p{P}` and the rest.
enum CharacterClass: UInt8, Sendable {
    case letter, number, space, punctuation, other

    private static let ascii: [CharacterClass] = (0..<128).map { classify(Unicode.Scalar(UInt8($0))) }

    init(_ scalar: UInt32) {
        if scalar < 128 {
            self = Self.ascii[Int(scalar)]
        } else {
            self = Unicode.Scalar(scalar).map(Self.classify) ?? .other
        }
    }

    private static func classify(_ scalar: Unicode.Scalar) -> CharacterClass {
        let properties = scalar.properties
        if properties.isWhitespace { return .space }
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
            return .letter
        case .decimalNumber, .letterNumber, .otherNumber:
            return .number
        case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation,
            .initialPunctuation, .finalPunctuation, .otherPunctuation:
            return .punctuation
        default:
            return .other
        }
    }

    /// Whether the character can be part of a word in the sense of `\w` (UTS #18, annex C).
    static func isWord(_ scalar: UInt32) -> Bool {
        guard let scalar = Unicode.Scalar(scalar) else { return false }
        let properties = scalar.properties
        if properties.isAlphabetic || properties.isJoinControl { return true }
        switch properties.generalCategory {
        case .decimalNumber, .connectorPunctuation, .nonspacingMark, .spacingMark, .enclosingMark: return true
        default: return false
        }
    }
}
