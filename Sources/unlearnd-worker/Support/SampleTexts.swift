// SPDX-License-Identifier: Apache-2.0

import Engine
import Protocol

/// What the model says, by the most likely token, to the first rows of the forget and retain sets: so that a person
/// who reads the report sees what the figures mean. Becomes the evidence `samples`.
struct SampleTexts {
    /// Rows of each set that are asked.
    static let rows = [("forget", 3), ("retain", 2)]
    /// Most tokens of an answer.
    static let maxNewTokens = 32
    /// Most tokens of a text row that are given as its beginning.
    private static let longestBeginning = 64

    /// One row that is asked.
    private struct Sample {
        var set: String
        var line: Int
        var prompt = ""
        var expected = ""
        /// What was said, by role.
        var said: [String: String] = [:]
    }
    private var samples: [Sample] = []

    /// Asks one version; rows without text are left out.
    ///
    /// - Parameters:
    ///   - sets: The order's sets as this version's examples.
    ///   - role: `before`, `after` or `reference`.
    mutating func take(
        _ model: Transformer, _ sets: Evaluator.Sets, _ tokenizer: Tokenizer?, role: String,
        checking check: () throws -> Void
    ) throws {
        guard let tokenizer else { return }
        let ends = model.configuration.endOfTextIDs + (tokenizer.eosID.map { [$0] } ?? [])
        let generator = Generator(model, ends: ends)
        for (name, count) in Self.rows {
            for example in Self.first(count, of: name == "forget" ? sets.forget : sets.retain) {
                try check()
                let split = Self.border(example)
                let prompt = Array(example.ids[..<split])
                guard !prompt.isEmpty, prompt.count < model.configuration.contextLength else { continue }
                let made = try generator.continuation(of: prompt, maximum: Self.maxNewTokens).tokens
                let text = tokenizer.decode(made, skipSpecialTokens: true)
                let index = samples.firstIndex { $0.set == name && $0.line == example.line }
                if let index {
                    samples[index].said[role] = text
                } else {
                    var sample = Sample(set: name, line: example.line)
                    sample.prompt = tokenizer.decode(prompt, skipSpecialTokens: true)
                    sample.expected = tokenizer.decode(
                        Array(example.ids[split...].prefix(Self.maxNewTokens)), skipSpecialTokens: true)
                    sample.said[role] = text
                    samples.append(sample)
                }
            }
        }
    }

    /// The first examples of as many lines.
    private static func first(_ count: Int, of examples: [Example]?) -> [Example] {
        var found: [Example] = []
        for example in examples ?? [] where found.last?.line != example.line {
            if found.count == count { break }
            found.append(example)
        }
        return found
    }

    /// Where the answer begins: at the first label, or half way where all are labels.
    private static func border(_ example: Example) -> Int {
        let first = example.labels.firstIndex { $0 != DatasetParser.unlabelled } ?? example.ids.count
        return first > 0 ? first : min(example.ids.count / 2, longestBeginning)
    }

    /// Hands the samples over as evidence, if there are any.
    func add(to evidence: EvidenceCollector) {
        guard !samples.isEmpty else { return }
        let roles = ["before", "after", "reference"]
        let data = samples.map { sample -> JSONValue in
            var row = JSONObject()
            row["set"] = .string(sample.set)
            row["line"] = .integer(Int64(sample.line))
            for role in roles {
                if let said = sample.said[role] {
                    row[role] = .bool(Self.begins(said, with: sample.expected))
                }
            }
            return .object(row)
        }
        let texts = samples.map { sample -> JSONValue in
            var row = JSONObject()
            row["prompt"] = .string(sample.prompt)
            row["expected"] = .string(sample.expected)
            for role in roles { row[role] = sample.said[role].map { .string($0) } }
            return .object(row)
        }
        evidence.add(
            .samples,
            ["max_new_tokens": .integer(Int64(Self.maxNewTokens)), "rows": .array(data)],
            texts: ["rows": .array(texts)])
    }

    /// Whether an answer begins as expected, but for white space around it.
    private static func begins(_ said: String, with expected: String) -> Bool {
        func trimmed(_ text: String) -> Substring {
            var text = Substring(text)
            while text.first?.isWhitespace == true { text.removeFirst() }
            while text.last?.isWhitespace == true { text.removeLast() }
            return text
        }
        return trimmed(said).hasPrefix(trimmed(expected))
    }
}
