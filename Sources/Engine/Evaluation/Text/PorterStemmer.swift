// SPDX-License-Identifier: Apache-2.0

/// Porter's stemmer (*An algorithm for suffix stripping*, Program 14, 1980) with the changes that NLTK makes by
/// default (`NLTK_EXTENSIONS`), because the rouge-score package stems with it:
///
/// - twelve irregular words; words of one or two letters stay;
/// - 1a: `ies` of a four-letter word becomes `ie` (dies, die); 1b: `ied` likewise, else `i` (died, spied);
/// - 1b and 5a: a stem of vowel and consonant counts as ending consonant-vowel-consonant;
/// - 1c: y becomes i after a consonant that is not the first letter (enjoy stays), whether or not a vowel precedes;
/// - 2: `alli` becomes `al` and the step begins again; `bli` becomes `ble`; `fulli` becomes `ful`; `logi` becomes
///   `log`, measured with the l.
///
/// Words are lower-case ASCII; digits count as consonants.
package enum PorterStemmer {
    /// The stem of a word of `a`–`z` and `0`–`9`.
    package static func stem(_ word: [UInt8]) -> [UInt8] {
        if let stem = irregular[word] { return stem }
        guard word.count > 2 else { return word }
        var word = Word(word)
        word.plural()
        word.pastAndProgressive()
        word.finalY()
        word.doubleSuffix()
        word.apply(thirdRules)
        word.apply(fourthRules)
        word.finalE()
        if word.ends("ll"), word.measure(of: word.letters.count - 1) > 1 { word.letters.removeLast() }
        return word.letters
    }

    /// The stem of a word.
    package static func stem(_ word: String) -> String {
        String(decoding: stem(Array(word.utf8)), as: UTF8.self)
    }

    private static let irregular: [[UInt8]: [UInt8]] = {
        let words: [(String, String)] = [
            ("sky", "sky"), ("skies", "sky"), ("dying", "die"), ("lying", "lie"), ("tying", "tie"),
            ("news", "news"), ("innings", "inning"), ("inning", "inning"), ("outings", "outing"),
            ("outing", "outing"), ("cannings", "canning"), ("canning", "canning"), ("howe", "howe"),
            ("proceed", "proceed"), ("exceed", "exceed"), ("succeed", "succeed"),
        ]
        return Dictionary(uniqueKeysWithValues: words.map { (Array($0.utf8), Array($1.utf8)) })
    }()

    /// A suffix, what it becomes, and the least measure of what stands before it.
    private struct Rule {
        let suffix: [UInt8]
        let replacement: [UInt8]
        let measure: Int
        /// Letters of the suffix that are measured too.
        var kept = 0
        /// What must stand before the suffix, if anything in particular.
        var before: Set<UInt8>?

        init(
            _ suffix: String, _ replacement: String, measure: Int = 1, kept: Int = 0,
            before: Set<UInt8>? = nil
        ) {
            self.suffix = Array(suffix.utf8)
            self.replacement = Array(replacement.utf8)
            self.measure = measure
            self.kept = kept
            self.before = before
        }
    }

    private static let secondRules = [
        Rule("ational", "ate"), Rule("tional", "tion"), Rule("enci", "ence"), Rule("anci", "ance"),
        Rule("izer", "ize"), Rule("bli", "ble"), Rule("alli", "al"), Rule("entli", "ent"),
        Rule("eli", "e"), Rule("ousli", "ous"), Rule("ization", "ize"), Rule("ation", "ate"),
        Rule("ator", "ate"), Rule("alism", "al"), Rule("iveness", "ive"), Rule("fulness", "ful"),
        Rule("ousness", "ous"), Rule("aliti", "al"), Rule("iviti", "ive"), Rule("biliti", "ble"),
        Rule("fulli", "ful"), Rule("logi", "log", kept: 1),
    ]
    private static let thirdRules = [
        Rule("icate", "ic"), Rule("ative", ""), Rule("alize", "al"), Rule("iciti", "ic"),
        Rule("ical", "ic"), Rule("ful", ""), Rule("ness", ""),
    ]
    private static let fourthRules = [
        Rule("al", "", measure: 2), Rule("ance", "", measure: 2), Rule("ence", "", measure: 2),
        Rule("er", "", measure: 2), Rule("ic", "", measure: 2), Rule("able", "", measure: 2),
        Rule("ible", "", measure: 2), Rule("ant", "", measure: 2), Rule("ement", "", measure: 2),
        Rule("ment", "", measure: 2), Rule("ent", "", measure: 2),
        Rule("ion", "", measure: 2, before: [UInt8(ascii: "s"), UInt8(ascii: "t")]),
        Rule("ou", "", measure: 2), Rule("ism", "", measure: 2), Rule("ate", "", measure: 2),
        Rule("iti", "", measure: 2), Rule("ous", "", measure: 2), Rule("ive", "", measure: 2),
        Rule("ize", "", measure: 2),
    ]

    /// A word between two steps.
    private struct Word {
        var letters: [UInt8]

        init(_ letters: [UInt8]) { self.letters = letters }

        func ends(_ suffix: String) -> Bool { letters.ends(with: suffix.utf8) }

        mutating func replace(_ count: Int, _ replacement: String) {
            letters.removeLast(count)
            letters += replacement.utf8
        }

        /// Whether each of the first `count` letters is a consonant: not a, e, i, o, u, nor y after a consonant.
        func consonants(_ count: Int) -> [Bool] {
            var flags: [Bool] = []
            flags.reserveCapacity(count)
            for letter in letters.prefix(count) {
                switch letter {
                case UInt8(ascii: "a"), UInt8(ascii: "e"), UInt8(ascii: "i"), UInt8(ascii: "o"),
                    UInt8(ascii: "u"):
                    flags.append(false)
                case UInt8(ascii: "y"): flags.append(!(flags.last ?? false))
                default: flags.append(true)
                }
            }
            return flags
        }

        /// Porter's m: how often a vowel is followed by a consonant in the first `count` letters.
        func measure(of count: Int) -> Int {
            let flags = consonants(count)
            return zip(flags, flags.dropFirst()).lazy.filter { !$0 && $1 }.count
        }

        /// Whether the first `count` letters end consonant, vowel, consonant other than w, x, y; or are a vowel and a
        /// consonant.
        func endsClosed(_ count: Int) -> Bool {
            let flags = consonants(count)
            if count == 2 { return !flags[0] && flags[1] }
            guard count >= 3, flags[count - 3], !flags[count - 2], flags[count - 1] else { return false }
            return ![UInt8(ascii: "w"), UInt8(ascii: "x"), UInt8(ascii: "y")].contains(letters[count - 1])
        }

        /// The first rule whose suffix is there decides, whether or not its condition holds.
        mutating func apply(_ rules: [Rule]) {
            guard let rule = rules.first(where: { letters.ends(with: $0.suffix) }) else { return }
            let rest = letters.count - rule.suffix.count
            guard measure(of: rest + rule.kept) >= rule.measure else { return }
            if let before = rule.before { guard rest > 0, before.contains(letters[rest - 1]) else { return } }
            letters.removeLast(rule.suffix.count)
            letters += rule.replacement
        }

        /// Step 1a.
        mutating func plural() {
            if ends("ies") {
                replace(3, letters.count == 4 ? "ie" : "i")
            } else if ends("sses") {
                replace(2, "")
            } else if ends("s"), !ends("ss") {
                replace(1, "")
            }
        }

        /// Step 1b.
        mutating func pastAndProgressive() {
            if ends("ied") { return replace(3, letters.count == 4 ? "ie" : "i") }
            if ends("eed") {
                if measure(of: letters.count - 3) > 0 { replace(1, "") }
                return
            }
            guard let suffix = ["ed", "ing"].first(where: ends),
                consonants(letters.count - suffix.count).contains(false)
            else { return }
            replace(suffix.count, "")
            if ends("at") || ends("bl") || ends("iz") { return replace(0, "e") }
            let count = letters.count
            if count >= 2, letters[count - 1] == letters[count - 2], consonants(count)[count - 1] {
                let last = letters[count - 1]
                if ![UInt8(ascii: "l"), UInt8(ascii: "s"), UInt8(ascii: "z")].contains(last) {
                    letters.removeLast()
                }
            } else if measure(of: count) == 1, endsClosed(count) {
                replace(0, "e")
            }
        }

        /// Step 1c.
        mutating func finalY() {
            let rest = letters.count - 1
            guard ends("y"), rest > 1, consonants(rest)[rest - 1] else { return }
            replace(1, "i")
        }

        /// Step 2.
        mutating func doubleSuffix() {
            while ends("alli"), measure(of: letters.count - 4) > 0 { replace(4, "al") }
            apply(PorterStemmer.secondRules)
        }

        /// Step 5a.
        mutating func finalE() {
            guard ends("e") else { return }
            let rest = letters.count - 1
            let measure = measure(of: rest)
            if measure > 1 || measure == 1 && !endsClosed(rest) { letters.removeLast() }
        }
    }
}

extension [UInt8] {
    fileprivate func ends(with suffix: some Collection<UInt8>) -> Bool {
        count >= suffix.count && self[(count - suffix.count)...].elementsEqual(suffix)
    }
}
