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

    /// Answers to the prompts of `examples`.
    ///
    /// - Parameter progress: Called with the number of rows answered so far.
    /// - Throws: ``EngineError`` for a row to which the model has no other answer; what `progress` throws.
    func alternatives(
        _ model: Transformer, _ examples: [Example], progress: (_ done: Int) throws -> Void
    ) throws -> Alternatives {
        var rows: [[Example]] = []
        for (row, example) in examples.enumerated() {
            rows.append(
                try given[row].map { Array(repeating: $0, count: count) }
                    ?? answers(model, row, example))
            try progress(rows.count)
        }
        return Alternatives(rows)
    }

    private func answers(_ model: Transformer, _ row: Int, _ example: Example) throws -> [Example] {
        let labelled = example.labels.indices.filter {
            $0 > 0 && example.labels[$0] != DatasetParser.unlabelled
        }
        guard let first = labelled.first, let end = example.ids.last else { return [] }
        let prompt = Array(example.ids[..<first])
        let forgotten = Array(example.ids[first...].dropLast())
        let generator = Generator(model, ends: [end])
        var answers: [Example] = []
        for number in 0..<count {
            var found: Example?
            for draw in 0..<Self.draws where found == nil {
                let temperature = draw < 8 ? 1 : Double(1 << (draw - 7))
                // Each row and draw has random numbers of its own.
                let sample = (row * count + number) * Self.draws + draw
                let made = try generator.continuations(
                    of: [Generator.Request(prompt: prompt, sample: sample)], maximum: maximum,
                    sampler: Sampler(temperature: temperature, seed: seed))[0]
                guard made.ending != .notANumber else {
                    throw EngineError(
                        .invalidBatch, "the model's output is not a number",
                        hint: "Choose a version with sound weights.")
                }
                guard !made.tokens.isEmpty, made.tokens != forgotten else { continue }
                let answer = made.tokens + (made.ending == .endOfText ? [end] : [])
                let silent = [Int32](repeating: DatasetParser.unlabelled, count: prompt.count)
                found = Example(ids: prompt + answer, labels: silent + answer, line: example.line)
            }
            guard let found else {
                throw EngineError(
                    .invalidBatch,
                    "line \(example.line) of the forget set: the model gives no answer but the forgotten one",
                    hint: "Write a replacement into the row.")
            }
            answers.append(found)
        }
        return answers
    }
}
