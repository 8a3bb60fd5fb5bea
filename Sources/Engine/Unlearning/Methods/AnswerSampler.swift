// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Other answers in the forgotten ones' own domain, drawn from the model itself at temperature 1 (`altpo`).
///
/// After AltPO (Mekala et al., arXiv 2409.13474), whose authors ask an instructed model for another answer; a model that only
/// continues text is sampled instead. What the model knows by heart it mostly repeats: a draw that is the forgotten
/// answer itself is drawn again, from the ninth time on at a temperature that doubles.
package struct AnswerSampler: Sendable {
    /// Answers for each row.
    private let count: Int
    /// The longest answer, tokens.
    private let maximum: Int
    private let seed: UInt64
    /// Answers that were given, by row; the others are drawn.
    private let given: [Int: Example]

    /// Draws at most for one answer; the last ones are so hot that hardly anything is left of the model's opinion.
    private static let draws = 16

    /// A sampler of `count` answers a row.
    package init(count: Int, maximum: Int, seed: UInt64, given: [Int: Example]) {
        self.count = count
        self.maximum = maximum
        self.seed = seed
        self.given = given
    }

    /// How long rows may come to be with the answers, before these are drawn.
    func sizes(_ examples: [Example]) -> RowSizes {
        let drawn = examples.map { example in
            let question = Question(example)
            let answer = [Int32](repeating: question.end, count: maximum + 1)
            let silent = [Int32](repeating: DatasetParser.unlabelled, count: question.prompt.count)
            return Example(ids: question.prompt + answer, labels: silent + answer, line: question.line)
        }
        return RowSizes([drawn + given.values])
    }

    /// Answers to the prompts of `examples`; all rows that still lack one are drawn together.
    ///
    /// - Parameter progress: Called with the number of rows answered so far.
    /// - Throws: ``EngineError`` for a row to which the model has no other answer; what `progress` throws.
    func alternatives(
        _ model: Transformer, _ examples: [Example], progress: (_ done: Int) throws -> Void
    ) throws -> Alternatives {
        var rows = examples.indices.map { row in
            [Example?](repeating: given[row], count: count)
        }
        let questions = examples.map(Question.init)
        func isAnswered(_ row: Int) -> Bool { !rows[row].contains { $0 == nil } }
        for draw in 0..<Self.draws {
            let open = rows.indices.flatMap { row in
                rows[row].indices.filter { rows[row][$0] == nil }.map { (row: row, number: $0) }
            }
            guard !open.isEmpty else { break }
            let temperature = draw < 8 ? 1 : Double(1 << (draw - 7))
            let sampler = Sampler(temperature: temperature, seed: seed)
            // Texts that end alike are continued together; a text's draw depends on nothing beside it.
            for (end, places) in Dictionary(grouping: open, by: { questions[$0.row].end })
                .sorted(by: { $0.key < $1.key })
            {
                let answered = rows.indices.count(where: isAnswered)
                let made = try Generator(model, ends: [end]).continuations(
                    of: places.map { place in
                        // Each row and draw has random numbers of its own.
                        Generator.Request(
                            prompt: questions[place.row].prompt,
                            sample: (place.row * count + place.number) * Self.draws + draw)
                    }, maximum: maximum, sampler: sampler
                ) { _, _ in try progress(answered) }
                for (place, made) in zip(places, made) {
                    guard made.ending != .notANumber else {
                        throw EngineError(
                            .invalidBatch, "the model's output is not a number",
                            hint: "Choose a version with sound weights.")
                    }
                    rows[place.row][place.number] = questions[place.row].answered(
                        by: made, within: model.configuration.contextLength)
                }
            }
            try progress(rows.indices.count(where: isAnswered))
        }
        return Alternatives(
            try rows.enumerated().map { row, answers in
                try answers.map { answer in
                    if let answer { return answer }
                    throw EngineError(
                        .invalidBatch,
                        "line \(examples[row].line) of the forget set: the model gives no answer but the forgotten one",
                        hint: "Write a replacement into the row.")
                }
            })
    }

    /// A row, taken apart.
    private struct Question {
        let prompt: [Int32]
        let forgotten: [Int32]
        /// What ends its answer.
        let end: Int32
        let line: Int

        init(_ example: Example) {
            let first =
                example.labels.indices.first {
                    $0 > 0 && example.labels[$0] != DatasetParser.unlabelled
                } ?? example.ids.count
            prompt = Array(example.ids[..<first])
            forgotten = Array(example.ids[first...].dropLast())
            // An example has two tokens at least.
            end = example.ids[example.ids.count - 1]
            line = example.line
        }

        /// The row with the answer that was drawn, unless that is none or the forgotten one; cut where the model's context
        /// ends, which has no place for what is drawn last.
        func answered(by made: Generator.Continuation, within context: Int) -> Example? {
            guard !made.tokens.isEmpty, made.tokens != forgotten else { return nil }
            let whole = made.tokens + (made.ending == .endOfText ? [end] : [])
            let answer = Array(whole.prefix(context - prompt.count))
            let silent = [Int32](repeating: DatasetParser.unlabelled, count: prompt.count)
            return Example(ids: prompt + answer, labels: silent + answer, line: line)
        }
    }
}
