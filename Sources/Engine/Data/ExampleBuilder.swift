// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Turns rows into examples: the template, the labels and the length rule.
///
/// - `text`: encoded with the post-processor's special tokens; every token is a label; no end token is added. A
///   longer text is cut into consecutive windows that do not overlap. If one token would be left over, the window
///   before it gives up its last one, so that every window has something to predict.
/// - prompt and completion: leading special tokens, prompt, completion, end token; encoded separately, nothing
///   between. Labels on the completion and the end token. With a template: see ``PromptEncoder``.
/// - `input_ids`: as they are.
///
/// Of the last two kinds, rows over the limit are refused, or with `truncate` cut at the end.
package struct ExampleBuilder: Sendable {
    /// Most tokens of an example.
    package let maxLength: Int

    private let tokenizer: Tokenizer?
    private let prompts: PromptEncoder?
    private let vocabularySize: Int
    private let truncate: Bool

    /// - Parameters:
    ///   - tokenizer: The model's tokenizer; rows of `input_ids` do without.
    ///   - vocabularySize: Rows of the model's embedding; ids beyond are refused.
    ///   - contextLength: Most tokens that the model can take.
    ///   - maxLength: Most tokens of an example; the default is min(512, `contextLength`).
    ///   - truncate: Whether rows over the limit are cut rather than refused.
    ///   - template: The layout of prompts and answers; the default is the plain one.
    /// - Throws: `invalidBatch` for a limit below 3 or above the model's context; `unsupportedModel` for a template
    ///   that the tokenizer cannot write.
    package init(
        tokenizer: Tokenizer?, vocabularySize: Int, contextLength: Int, maxLength: Int? = nil,
        truncate: Bool = false, template: PromptTemplate? = nil
    ) throws(EngineError) {
        let limit = maxLength ?? min(512, contextLength)
        guard limit >= 3, limit <= contextLength else {
            throw EngineError(
                .invalidBatch,
                "the maximal length of \(limit) tokens is not between 3 and the model's \(contextLength)",
                hint: "Choose --max-length within these bounds")
        }
        self.maxLength = limit
        self.tokenizer = tokenizer
        if let template, let tokenizer {
            prompts = try PromptEncoder(template, tokenizer)
        } else {
            prompts = nil
        }
        self.vocabularySize = vocabularySize
        self.truncate = truncate
    }

    /// The examples of `rows` in their order.
    ///
    /// - Parameter name: What errors call the dataset.
    /// - Throws: The first row that cannot be used, with its line.
    package func build(_ rows: [DatasetRow], name: String) throws(DatasetError) -> [Example] {
        var examples: [Example] = []
        examples.reserveCapacity(rows.count)
        for row in rows { try append(row, name, to: &examples) }
        guard !examples.isEmpty else {
            throw DatasetError(
                name: name, line: nil, problem: "the dataset has no rows", hint: "Give at least one row")
        }
        return examples
    }

    private func append(_ row: DatasetRow, _ name: String, to examples: inout [Example]) throws(DatasetError)
    {
        func fault(_ problem: String, _ hint: String) -> DatasetError {
            DatasetError(name: name, line: row.line, problem: problem, hint: hint)
        }
        func tokenizerForText() throws(DatasetError) -> Tokenizer {
            guard let tokenizer else {
                throw fault(
                    "the row is text, but the model has no tokenizer.json",
                    "Import the model with its tokenizer, or write rows of input_ids")
            }
            return tokenizer
        }
        var ids: [Int32]
        var labels: [Int32]
        switch row.content {
        case .text(let text):
            let ids = try tokenizerForText().encode(text, addSpecialTokens: true)
            try check(ids, fault)
            guard ids.count > 1 else {
                throw fault(
                    "the text is \(ids.count) token\(ids.count == 1 ? "" : "s") long: there is nothing to predict",
                    "Write a longer text or remove the row")
            }
            for window in Self.windows(of: ids.count, limit: maxLength) {
                let part = Array(ids[window])
                examples.append(Example(ids: part, labels: part, line: row.line))
            }
            return
        case .promptCompletion, .questionAnswer:
            let tokenizer = try tokenizerForText()
            if let prompts, let (prompt, answer) = row.exchange {
                let exchange = prompts.exchange(prompt, answer: answer)
                ids = exchange.ids
                labels =
                    [Int32](repeating: DatasetParser.unlabelled, count: exchange.promptCount)
                    + ids[exchange.promptCount...]
                break
            }
            guard let (prompt, completion) = row.promptAndCompletion else { return }
            guard let end = tokenizer.eosID else {
                throw fault(
                    "the model names no end-of-sequence token to put after the completion",
                    "Add eos_token to tokenizer_config.json or eos_token_id to config.json and import the model again"
                )
            }
            ids = tokenizer.leadingSpecialTokens + tokenizer.encode(prompt, addSpecialTokens: false)
            labels = [Int32](repeating: DatasetParser.unlabelled, count: ids.count)
            let answer = tokenizer.encode(completion, addSpecialTokens: false) + [end]
            ids += answer
            labels += answer
        case .inputIDs(let given, let givenLabels):
            ids = given
            labels = givenLabels ?? given
            try check(labels.lazy.map { $0 == DatasetParser.unlabelled ? 0 : $0 }, fault)
        }
        try check(ids, fault)
        if ids.count > maxLength {
            guard truncate else {
                throw fault(
                    "the row is \(ids.count) tokens long, the limit is \(maxLength)",
                    "Raise --max-length, shorten the row, or allow cutting it with --truncate")
            }
            ids.removeLast(ids.count - maxLength)
            labels.removeLast(labels.count - maxLength)
        }
        guard ids.count > 1, labels.dropFirst().contains(where: { $0 != DatasetParser.unlabelled }) else {
            throw fault(
                "no labelled token lies within the limit of \(maxLength) tokens",
                "Raise --max-length or shorten what stands before the first label")
        }
        examples.append(Example(ids: ids, labels: labels, line: row.line))
    }

    private func check(
        _ ids: some Sequence<Int32>, _ fault: (String, String) -> DatasetError
    ) throws(DatasetError) {
        for id in ids where id < 0 || Int(id) >= vocabularySize {
            throw fault(
                "the token id \(id) is not in the model's vocabulary of \(vocabularySize)",
                "Use the tokenizer that the model was trained with")
        }
    }

    /// Consecutive ranges of at most `limit` (at least 3) tokens, each of at least two when `count` is.
    static func windows(of count: Int, limit: Int) -> [Range<Int>] {
        var windows: [Range<Int>] = []
        var start = 0
        while start < count {
            var end = min(start + limit, count)
            if count - end == 1 { end -= 1 }
            windows.append(start..<end)
            start = end
        }
        return windows
    }
}
