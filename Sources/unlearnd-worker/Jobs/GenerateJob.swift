// SPDX-License-Identifier: Apache-2.0

import Engine
import Protocol

/// Continues a prompt, always with the most likely token.
struct GenerateJob {
    private let context: JobContext

    init(_ context: JobContext) { self.context = context }

    func run() throws -> WorkerResult {
        guard let prompt = context.parameters.prompt else {
            throw JobFailure(.badInput, "no prompt was given")
        }
        let files = VersionFiles(reader: try context.reader(context.order.base, "model's"))
        let configuration = try files.configuration()
        let tokenizer = try files.requiredTokenizer()
        let ids = tokenizer.leadingSpecialTokens + tokenizer.encode(prompt, addSpecialTokens: false)
        let (model, _) = try files.model(configuration, context)
        let ends = Set(configuration.endOfTextIDs + (tokenizer.eosID.map { [$0] } ?? []))
        let maximum = context.parameters.maxNewTokens ?? 32
        let phase = context.phase("generate", unit: "tokens")
        var tokens: [Int32] = []
        var ending = Generator.Ending.endOfText
        do {
            ending = try Generator(model, ends: []).continuation(of: ids, maximum: maximum) { token in
                tokens.append(token)
                try phase.update(tokens.count, of: maximum)
                // The end is a token that the model made: it is shown, and nothing follows it.
                if ends.contains(token) { throw EndOfText() }
            }.ending
        } catch is EndOfText {}
        guard ending != .notANumber else {
            throw JobFailure(
                .badInput, "the model's output is not a number", hint: "choose a version with sound weights")
        }
        var result = WorkerResult()
        result.result = [
            "ids": .array(tokens.map { .integer(Int64($0)) }),
            // The text of all these ids, and what a reader wants to see of it.
            "text": .string(tokenizer.decode(tokens, skipSpecialTokens: false)),
            "plain_text": .string(tokenizer.decode(tokens, skipSpecialTokens: true)),
            "ending": .string(ending.rawValue),
        ]
        return result
    }

    private struct EndOfText: Error {}
}
