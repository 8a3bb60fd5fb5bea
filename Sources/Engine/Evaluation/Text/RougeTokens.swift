// SPDX-License-Identifier: Apache-2.0

/// The words that ROUGE counts, as the rouge-score package cuts them: lower case, everything but `a`–`z` and `0`–`9`
/// is a space, and words of more than three letters are stemmed if wished.
package enum RougeTokens {
    /// - Parameter stemmed: Whether words become stems (``PorterStemmer``): TOFU does, MUSE does not.
    package static func words(of text: String, stemmed: Bool = true) -> [[UInt8]] {
        var words: [[UInt8]] = []
        var word: [UInt8] = []
        func finish() {
            if !word.isEmpty { words.append(stemmed && word.count > 3 ? PorterStemmer.stem(word) : word) }
            word.removeAll(keepingCapacity: true)
        }
        for byte in text.lowercased().utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                word.append(byte)
            default: finish()
            }
        }
        finish()
        return words
    }
}
