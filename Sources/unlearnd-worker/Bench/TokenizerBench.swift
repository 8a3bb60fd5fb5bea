// SPDX-License-Identifier: Apache-2.0

import Engine
import Glibc
import Protocol

/// Measures a tokenizer alone, on one thread: `bench tokenize TOKENIZER.json TEXT [ROUNDS]`.
enum TokenizerBench {
    /// Bytes of text that are encoded at one time, as rows of a dataset are.
    private static let rowSize = 4096

    /// Encodes a text round after round, by rows and as a whole, and prints a JSON line for each; returns the exit
    /// status.
    static func run(_ words: [String]) -> Int32 {
        guard (2...3).contains(words.count), let rounds = words.count == 3 ? Int(words[2]) : 5 else {
            complain("usage: unlearnd-worker bench tokenize TOKENIZER.json TEXT [ROUNDS]")
            return ExitCode.usage.rawValue
        }
        guard let json = read(words[0]), let bytes = read(words[1]),
            let text = String(validating: bytes, as: UTF8.self)
        else {
            complain("the tokenizer or the text cannot be read")
            return ExitCode.badInput.rawValue
        }
        do {
            let tokenizer = try Tokenizer(tokenizerJSON: json)
            let rows = rows(text)
            for round in 0..<rounds {
                for (kind, texts) in [("rows", rows), ("whole", [text])] {
                    let began = ContinuousClock.now
                    let tokens = texts.reduce(0) { $0 + tokenizer.encode($1, addSpecialTokens: false).count }
                    let seconds = (ContinuousClock.now - began) / .seconds(1)
                    let line: JSONValue = [
                        "round": .integer(Int64(round)), "kind": .string(kind), "seconds": .number(seconds),
                        "bytes": .integer(Int64(bytes.count)), "tokens": .integer(Int64(tokens)),
                    ]
                    print(line.serializedString())
                }
            }
            return 0
        } catch {
            complain("\(error)")
            return ExitCode.badInput.rawValue
        }
    }

    /// The text cut after line breaks.
    private static func rows(_ text: String) -> [String] {
        var rows: [String] = []
        var row = ""
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            row += line
            row += "\n"
            if row.utf8.count >= rowSize {
                rows.append(row)
                row = ""
            }
        }
        return row.isEmpty ? rows : rows + [row]
    }

    private static func read(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "re") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { return bytes }
            bytes += buffer[..<count]
        }
    }
}
