// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Protocol
import Testing

/// Comparison with ids made just now by another implementation; `Tests/Reference/parity_tokenizers.py` runs it.
@Suite(
    .enabled(if: TokenizerTestFiles.parityCases != nil, "UNLEARN_TOKENIZER_PARITY names no folder of cases"))
struct TokenizerParityTests {
    @Test func `ids and text agree with the other implementation`() throws {
        let folder = try #require(TokenizerTestFiles.parityCases)
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        #expect(!files.isEmpty)
        for file in files.sorted(by: { $0.path < $1.path }) {
            let content = try StrictJSON.parse(TokenizerTestFiles.read(file))
            let path = try #require(content["tokenizer"]?.stringValue)
            let tokenizer = try Tokenizer(tokenizerJSON: TokenizerTestFiles.read(URL(filePath: path)))
            let cases = content["cases"]?.arrayValue ?? []
            #expect(!cases.isEmpty)
            let difference = try cases.first { entry in
                let ids = try #require(TokenizerTestFiles.ids(entry["ids"]))
                let text = try #require(entry["text"]?.stringValue)
                let decoded = try #require(entry["decoded"]?.stringValue)
                return tokenizer.encode(text, addSpecialTokens: false) != ids
                    || !tokenizer.decode(ids, skipSpecialTokens: false).utf8.elementsEqual(decoded.utf8)
            }
            #expect(difference == nil, "\(file.lastPathComponent)")
        }
    }
}
