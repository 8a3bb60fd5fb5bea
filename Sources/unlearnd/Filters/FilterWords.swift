// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol

/// Cuts text into the words that a filter's n-grams are made of.
///
/// Compatibility composition (NFKC), each scalar's own lower case, then maximal runs of letters, marks and numbers
/// (general categories L, M, N); everything else separates. A scalar of a script that is written without spaces between
/// words (Han, Kana, Thai, Lao, Khmer, Myanmar) is a word of its own. `docs/formats.md` states the same for others.
enum FilterWords {
    /// The words of `text`, in order.
    static func words(_ text: String) -> [String] {
        var words: [String] = []
        var word = String.UnicodeScalarView()
        func close() {
            if !word.isEmpty { words.append(String(word)) }
            word = String.UnicodeScalarView()
        }
        for scalar in text.precomposedStringWithCompatibilityMapping.unicodeScalars {
            for lower in scalar.properties.lowercaseMapping.unicodeScalars {
                guard isWord(lower) else {
                    close()
                    continue
                }
                if standsAlone(lower) {
                    close()
                    words.append(String(lower))
                } else {
                    word.append(lower)
                }
            }
        }
        close()
        return words
    }

    private static func isWord(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter,
            .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .letterNumber, .otherNumber:
            true
        default: false
        }
    }

    private static func standsAlone(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x0E00...0x0EFF, 0x1000...0x109F, 0x1780...0x17FF, 0x3040...0x30FF, 0x3400...0x4DBF,
            0x4E00...0x9FFF, 0xF900...0xFAFF, 0x20000...0x3FFFF:
            true
        default: false
        }
    }

    /// The n-grams of one row that a model must not say: those that hold a word of the answer, and an answer of fewer
    /// words than `n`, but of at least `minimum`, as a whole.
    ///
    /// - Returns: The n-grams with one space between words; `nil` for a row without text.
    static func grams(of row: DatasetRow, n: Int, minimum: Int) -> Set<String>? {
        var grams: Set<String> = []
        func add(_ before: [String], _ answer: [String]) {
            guard !answer.isEmpty else { return }
            if answer.count < n, answer.count >= minimum { grams.insert(answer.joined(separator: " ")) }
            // What stands before an answer counts only together with it.
            let words = before.suffix(n - 1) + answer
            guard words.count >= n else { return }
            for start in 0...(words.count - n) {
                grams.insert(
                    words[words.startIndex + start..<words.startIndex + start + n].joined(separator: " "))
            }
        }
        switch row.content {
        case .text(let text): add([], words(text))
        case .promptCompletion, .questionAnswer:
            guard let (prompt, completion) = row.promptAndCompletion else { return nil }
            add(words(prompt), words(completion))
        case .inputIDs: return nil
        }
        if let other = row.paraphrasedAnswer { add([], words(other)) }
        return grams
    }
}
