// SPDX-License-Identifier: Apache-2.0

// Unicode normalisation is the one thing here that FoundationEssentials does not offer.
import Foundation

/// The Unicode normalisation forms (UAX #15).
enum CanonicalForm: String, Sendable {
    case nfc = "NFC"
    case nfd = "NFD"
    case nfkc = "NFKC"
    case nfkd = "NFKD"

    /// `text` in this form.
    func apply(to text: [UInt8]) -> [UInt8] {
        // Every character before U+0300 is its own NFC, and every ASCII character its own any form.
        let firstAffected: UInt8 = self == .nfc ? 0xCC : 0x80
        guard text.contains(where: { $0 >= firstAffected }) else { return text }
        let string = Self.split(String(decoding: text, as: UTF8.self))
        let result =
            switch self {
            case .nfc: string.precomposedStringWithCanonicalMapping
            case .nfd: string.decomposedStringWithCanonicalMapping
            case .nfkc: string.precomposedStringWithCompatibilityMapping
            case .nfkd: string.decomposedStringWithCompatibilityMapping
            }
        return Array(result.utf8)
    }

    /// Three Tibetan vowels have combining class 0 and are made of marks that have not. Every form takes them apart;
    /// Foundation then leaves the marks where they are, though others may have to stand behind them.
    private static func split(_ text: String) -> String {
        let vowels: [Unicode.Scalar: Unicode.Scalar] = [
            "\u{F73}": "\u{F72}", "\u{F75}": "\u{F74}", "\u{F81}": "\u{F80}",
        ]
        guard text.unicodeScalars.contains(where: { vowels[$0] != nil }) else { return text }
        var scalars = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            if let second = vowels[scalar] {
                scalars.append("\u{F71}")
                scalars.append(second)
            } else {
                scalars.append(scalar)
            }
        }
        return String(scalars)
    }
}
