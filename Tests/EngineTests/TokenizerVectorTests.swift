// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Glibc
import Protocol
import Testing

/// Real tokenizers against published ids.
@Suite(
    .enabled(
        if: TokenizerTestFiles.sharedIsMissing == nil,
        Comment(rawValue: TokenizerTestFiles.sharedIsMissing ?? "the data is there")))
struct `Tokenizer vectors` {
    @Test(arguments: [
        ("gpt2_multilingual", "gpt2"), ("qwen2_5_multilingual", "qwen2"),
        ("tinyllama_multilingual", "tinyllama"),
    ])
    func `multilingual strings have the ids that transformers gives`(vector: String, folder: String) throws {
        let tokenizer = try TokenizerTestFiles.sharedTokenizer("data/tokenizers/\(folder)")
        let vectors = TokenizerTestFiles.shared.appending(path: "data/vectors")
        let inputs = try StrictJSON.parse(TokenizerTestFiles.read(vectors.appending(path: "inputs.json")))
        let expected = try StrictJSON.parse(
            TokenizerTestFiles.read(vectors.appending(path: "\(vector).json")))
        var ids: [String: [Int32]] = [:]
        for entry in expected["entries"]?.arrayValue ?? [] {
            ids[entry["id"]?.stringValue ?? ""] = TokenizerTestFiles.ids(entry["input_ids"])
        }
        let entries = inputs.arrayValue ?? []
        #expect(entries.count == 83)
        for entry in entries {
            let name = try #require(entry["id"]?.stringValue)
            let text = try #require(entry["text"]?.stringValue)
            #expect(tokenizer.encode(text, addSpecialTokens: true) == ids[name], "\(name)")
        }
    }

    @Test(arguments: [("gpt-2", "gpt2"), ("mpt", "gpt-neox"), ("qwen2", "qwen2"), ("llama-spm", "tinyllama")])
    func `odd strings have the ids that llama.cpp expects`(vector: String, folder: String) throws {
        let tokenizer = try TokenizerTestFiles.sharedTokenizer("data/tokenizers/\(folder)")
        let base = TokenizerTestFiles.shared.appending(path: "data/vectors/ggml-vocab-\(vector).gguf")
        let inputs = String(decoding: try Data(contentsOf: base.appendingPathExtension("inp")), as: UTF8.self)
            .components(separatedBy: "\n__ggml_vocab_test__\n")
        let outputs = String(
            decoding: try Data(contentsOf: base.appendingPathExtension("out")), as: UTF8.self
        )
        .components(separatedBy: "\n").map { $0.split(separator: " ").compactMap { Int32($0) } }
        #expect(outputs.count > 40)
        for (text, expected) in zip(inputs, outputs) {
            #expect(tokenizer.encode(text, addSpecialTokens: false) == expected, "\(text.debugDescription)")
        }
    }

    @Test(arguments: ["gpt2", "gpt-neox", "phi-2", "qwen2", "tinyllama"])
    func `a play decodes to itself`(folder: String) throws {
        let tokenizer = try TokenizerTestFiles.sharedTokenizer("data/tokenizers/\(folder)")
        let play = TokenizerTestFiles.shared.appending(path: "data/text/tinyshakespeare.txt")
        let text = String(decoding: try Data(contentsOf: play).prefix(200_000), as: UTF8.self)
        let ids = tokenizer.encode(text, addSpecialTokens: false)
        #expect(tokenizer.decode(ids, skipSpecialTokens: false) == text)
        #expect(ids.allSatisfy { $0 >= 0 && Int($0) < tokenizer.vocabularySize })
    }

    @Test func `the end token comes from the tokenizer's configuration first`() throws {
        #expect(try TokenizerTestFiles.sharedTokenizer("data/tokenizers/qwen2").eosID == 151_645)
        #expect(try TokenizerTestFiles.sharedTokenizer("data/tokenizers/tinyllama").eosID == 2)
        #expect(try TokenizerTestFiles.sharedTokenizer("models/tofu-tiny/full").eosID == 0)
        #expect(try TokenizerTestFiles.sharedTokenizer("data/tokenizers/gpt2").eosID == nil)
    }

    @Test func `rows of the small model have as many labels as its reference counted`() throws {
        let folder = TokenizerTestFiles.shared.appending(path: "models/tofu-tiny")
        let tokenizer = try TokenizerTestFiles.sharedTokenizer("models/tofu-tiny/full")
        let reference = try StrictJSON.parse(
            TokenizerTestFiles.read(folder.appending(path: "reference.json")))
        let builder = try ExampleBuilder(tokenizer: tokenizer, vocabularySize: 4096, contextLength: 512)
        for name in ["forget", "retain", "holdout"] {
            let file = try TokenizerTestFiles.read(folder.appending(path: "data/\(name).jsonl"))
            let rows = try DatasetParser.parse(file, name: "\(name).jsonl")
            // The reference counted the first 400 retain rows.
            let examples = try builder.build(Array(rows.prefix(400)), name: name)
            let expected = reference["full"]?[name]?["tokens"]?.integerValue
            #expect(examples.reduce(0) { $0 + $1.predictedCount } == expected.map { Int($0) })
            #expect(examples.count == reference["full"]?[name]?["rows"]?.integerValue.map { Int($0) })
        }
    }

    @Test(arguments: ["gpt2", "gpt-neox", "phi-2", "qwen2", "tinyllama"])
    func `sixteen times the text takes no more than some sixteen times the work`(folder: String) throws {
        let tokenizer = try TokenizerTestFiles.sharedTokenizer("data/tokenizers/\(folder)")
        /// Processor time of this thread, the less of two runs: other work on the machine does not count.
        func seconds(_ unit: String, _ bytes: Int) -> Double {
            let text = String(repeating: unit, count: bytes / unit.utf8.count)
            return (0..<2).map { _ in
                let began = Self.processorTime
                let ids = tokenizer.encode(text, addSpecialTokens: false)
                #expect(!ids.isEmpty)
                return Self.processorTime - began
            }.min() ?? 0
        }
        for unit in ["a", "e", " ", "7", "😀", "\n", "é", "'", "ab ", "\u{3000}"] {
            let small = seconds(unit, 1 << 16)
            let large = seconds(unit, 1 << 20)
            // Quadratic work would take 256 times as long.
            #expect(large < 64 * max(small, 0.001), "\(unit.debugDescription): \(small) s and \(large) s")
        }
    }

    @Test func `ten megabytes without a space are encoded and come back`() throws {
        for folder in ["gpt2", "tinyllama"] {
            let tokenizer = try TokenizerTestFiles.sharedTokenizer("data/tokenizers/\(folder)")
            let text = String(repeating: "thekeepersdaughter", count: 10_000_000 / 18)
            let ids = tokenizer.encode(text, addSpecialTokens: false)
            #expect(tokenizer.decode(ids, skipSpecialTokens: false) == text)
        }
    }

    private static var processorTime: Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
