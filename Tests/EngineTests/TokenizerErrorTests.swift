// SPDX-License-Identifier: Apache-2.0

import Engine
import Protocol
import Testing

@Suite struct `Tokenizer files that cannot be used` {
    private func refusal(_ edit: (inout JSONObject) -> Void) -> TokenizerError? {
        do {
            _ = try TokenizerTestFiles.tokenizer(changing: edit)
            return nil
        } catch {
            return error as? TokenizerError
        }
    }

    @Test(arguments: ["Unigram", "WordPiece", "WordLevel"])
    func `other kinds of model are named`(type: String) {
        let error = refusal { $0["model"] = ["type": .string(type), "vocab": [:]] }
        #expect(error?.code == .unsupported)
        #expect(error?.message.contains(type) == true)
    }

    @Test func `an unknown expression is quoted`() {
        let error = refusal {
            $0["pre_tokenizer"] = [
                "type": "Split", "pattern": ["Regex": "(a|aa)+$"], "behavior": "Isolated", "invert": false,
            ]
        }
        #expect(error?.code == .unsupported)
        #expect(error?.message.contains("(a|aa)+$") == true)
    }

    @Test(arguments: ["normalizer", "pre_tokenizer", "post_processor", "decoder"])
    func `an unknown part is named with its place`(part: String) {
        let error = refusal { $0[part] = ["type": "Mystery"] }
        #expect(error?.code == .unsupported)
        #expect(error?.message == "tokenizer.json: \(part) is of type Mystery")
    }

    @Test func `splitting that removes text is refused`() {
        let error = refusal {
            $0["pre_tokenizer"] = [
                "type": "Split", "pattern": ["String": " "], "behavior": "Removed", "invert": false,
            ]
        }
        #expect(error?.code == .unsupported)
    }

    @Test func `merges outside the vocabulary are refused`() {
        for merges: JSONValue in [["zz qq"], [["zz", "qq"]], ["one"], ["a b c"], [["a"]], [1], "a b"] {
            let error = refusal { root in
                var model = root["model"]?.objectValue ?? JSONObject()
                model["merges"] = merges
                root["model"] = .object(model)
            }
            #expect(error?.code == .invalid, "\(merges)")
        }
    }

    @Test func `ids that would fill memory are refused`() {
        for id: JSONValue in [2_147_483_647, -1, 1.5, "1", 9_223_372_036_854_775_807] {
            let error = refusal { root in
                var model = root["model"]?.objectValue ?? JSONObject()
                model["vocab"] = ["a": id]
                model["merges"] = []
                root["model"] = .object(model)
            }
            #expect(error?.code == .invalid, "\(id)")
            let added = refusal { $0["added_tokens"] = [["id": id, "content": "x"]] }
            #expect(added?.code == .invalid, "\(id)")
        }
    }

    @Test func `dropout and affixes are refused`() {
        for (key, value): (String, JSONValue) in [
            ("dropout", 0.1), ("end_of_word_suffix", "</w>"), ("continuing_subword_prefix", "##"),
            ("unk_token", "none"),
        ] {
            let error = refusal { root in
                var model = root["model"]?.objectValue ?? JSONObject()
                model[key] = value
                root["model"] = .object(model)
            }
            #expect(error?.message.contains(key) == true)
        }
    }

    @Test func `bytes that are not JSON, and an end token that is not there, are refused`() throws {
        for bytes: [UInt8] in [[], [0xFF], Array("[]".utf8), Array("{}".utf8), Array("{\"model\": 3}".utf8)] {
            #expect(throws: TokenizerError.self) { try Tokenizer(tokenizerJSON: bytes) }
        }
        let json = try TokenizerTestFiles.golden("gpt2-style").tokenizerJSON
        #expect(throws: TokenizerError.self) {
            try Tokenizer(tokenizerJSON: json, configJSON: Array("{\"eos_token\": \"<nowhere>\"}".utf8))
        }
        #expect(throws: TokenizerError.self) {
            try Tokenizer(tokenizerJSON: json, modelConfigJSON: Array("{\"eos_token_id\": \"2\"}".utf8))
        }
    }

    @Test(arguments: [
        ("{\"eos_token\": \"</s>\"}", "{\"eos_token_id\": 7}", 1 as Int32?),
        ("{\"eos_token\": {\"content\": \"</s>\"}}", nil, 1),
        ("{\"eos_token\": null}", "{\"eos_token_id\": [7, 8]}", 7),
        (nil, "{\"eos_token_id\": 7}", 7), ("{}", "{}", nil), (nil, nil, nil),
    ])
    func `the end token is looked for in order`(config: String?, model: String?, expected: Int32?) throws {
        let tokenizer = try Tokenizer(
            tokenizerJSON: TokenizerTestFiles.golden("gpt2-style").tokenizerJSON,
            configJSON: config.map { Array($0.utf8) }, modelConfigJSON: model.map { Array($0.utf8) })
        #expect(tokenizer.eosID == expected)
    }

    @Test func `tokens that are equivalent but spelled differently stay different`() throws {
        let json = """
            {"model": {"type": "BPE", "vocab": {"\u{E9}": 0, "e": 1, "\u{301}": 2, "e\u{301}": 3},
             "merges": [["e", "\u{301}"]]}, "added_tokens": []}
            """
        let tokenizer = try Tokenizer(tokenizerJSON: Array(json.utf8))
        #expect(tokenizer.encode("\u{E9}", addSpecialTokens: false) == [0])
        #expect(tokenizer.encode("e\u{301}", addSpecialTokens: false) == [3])
    }
}
