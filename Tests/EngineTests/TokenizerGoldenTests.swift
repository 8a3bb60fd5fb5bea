// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Protocol
import Testing

@Suite struct `Tokenizer goldens` {
    @Test(arguments: [
        "gpt2-style", "added-tokens", "llama3-style", "starcoder-style", "falcon-style", "rule-words",
        "byte-fallback",
        "metaspace-fused-unknown", "metaspace-single-unknown",
    ])
    func `ids and text are those of the reference implementation`(name: String) throws {
        let golden = try TokenizerTestFiles.golden(name)
        let tokenizer = try Tokenizer(tokenizerJSON: golden.tokenizerJSON)
        #expect(golden.cases.count > 20)
        for entry in golden.cases {
            let text = try #require(entry["text"]?.stringValue)
            let ids = try #require(TokenizerTestFiles.ids(entry["ids"]))
            #expect(tokenizer.encode(text, addSpecialTokens: false) == ids, "\(text.debugDescription)")
            #expect(
                tokenizer.encode(text, addSpecialTokens: true)
                    == TokenizerTestFiles.ids(entry["ids_with_special"]),
                "\(text.debugDescription)")
            let decoded = tokenizer.decode(ids, skipSpecialTokens: false)
            #expect(Array(decoded.utf8) == (entry["decoded"]?.stringValue).map { Array($0.utf8) })
            let plain = tokenizer.decode(ids, skipSpecialTokens: true)
            #expect(
                Array(plain.utf8) == (entry["decoded_without_special"]?.stringValue).map { Array($0.utf8) })
        }
    }

    @Test func `special tokens of a template stand on both sides`() throws {
        let tokenizer = try Tokenizer(tokenizerJSON: TokenizerTestFiles.golden("llama3-style").tokenizerJSON)
        #expect(tokenizer.leadingSpecialTokens == [0])
        #expect(tokenizer.trailingSpecialTokens == [1])
        let bare = tokenizer.encode("the nets", addSpecialTokens: false)
        #expect(tokenizer.encode("the nets", addSpecialTokens: true) == [0] + bare + [1])
    }

    @Test func `a long word costs little more than its length`() throws {
        for name in ["gpt2-style", "byte-fallback"] {
            let tokenizer = try Tokenizer(tokenizerJSON: TokenizerTestFiles.golden(name).tokenizerJSON)
            // Quadratic merging of this would take hours.
            let word = String(repeating: "thenetsare", count: 200_000)
            let ids = tokenizer.encode(word, addSpecialTokens: false)
            #expect(ids.count > 100_000)
            #expect(tokenizer.decode(ids, skipSpecialTokens: false) == word)
        }
    }

    @Test func `runs of white space, symbols and apostrophes are linear`() throws {
        let tokenizer = try Tokenizer(tokenizerJSON: TokenizerTestFiles.golden("llama3-style").tokenizerJSON)
        for unit in [" ", "\n", " \n", "'", "!", "\u{3000}", "'l", "1"] {
            let text = String(repeating: unit, count: 300_000)
            let ids = tokenizer.encode(text, addSpecialTokens: false)
            #expect(tokenizer.decode(ids, skipSpecialTokens: false) == text, "\(unit.debugDescription)")
        }
    }

    @Test func `threads share one tokenizer`() async throws {
        let tokenizer = try Tokenizer(tokenizerJSON: TokenizerTestFiles.golden("gpt2-style").tokenizerJSON)
        let text = "The keeper of the lighthouse wrote 1234 letters. "
        let expected = tokenizer.encode(text, addSpecialTokens: false)
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    (0..<200).allSatisfy { _ in tokenizer.encode(text, addSpecialTokens: false) == expected }
                }
            }
            for await agrees in group { #expect(agrees) }
        }
    }

    @Test func `decoding ignores ids that are no token`() throws {
        let tokenizer = try Tokenizer(tokenizerJSON: TokenizerTestFiles.golden("gpt2-style").tokenizerJSON)
        let ids = tokenizer.encode("nets", addSpecialTokens: false)
        #expect(
            tokenizer.decode([-1, .max] + ids + [Int32(tokenizer.vocabularySize)], skipSpecialTokens: true)
                == "nets")
    }
}
