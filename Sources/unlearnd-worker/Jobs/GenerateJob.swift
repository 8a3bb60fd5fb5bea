// SPDX-License-Identifier: Apache-2.0

import Engine
import Protocol

/// Continues prompts, with the most likely tokens or with drawn ones.
struct GenerateJob {
    private let context: JobContext

    init(_ context: JobContext) { self.context = context }

    func run() throws -> WorkerResult {
        let parameters = context.parameters
        guard let prompts = parameters.prompts ?? parameters.prompt.map({ [$0] }), !prompts.isEmpty else {
            throw JobFailure(.badInput, "no prompt was given")
        }
        let files = VersionFiles(reader: try context.reader(context.order.base, "model's"))
        let configuration = try files.configuration()
        let tokenizer = try files.requiredTokenizer()
        let encoder = try parameters.promptTemplate.map { try PromptEncoder($0, tokenizer) }
        let ends = configuration.endOfTextIDs + (encoder?.ends ?? [tokenizer.eosID].compactMap(\.self))
        let count = parameters.count ?? 1
        let requests = prompts.flatMap { prompt in
            let ids =
                encoder?.prompt(prompt)
                ?? tokenizer.leadingSpecialTokens + tokenizer.encode(prompt, addSpecialTokens: false)
            return (0..<count).map { Generator.Request(prompt: ids, sample: $0) }
        }
        try context.predictMemory(configuration, prompt: requests.lazy.map(\.prompt.count).max() ?? 1)
        let (model, _) = try files.model(configuration, context)
        let maximum = parameters.maxNewTokens ?? MethodDefaults.newTokens
        let phase = context.phase("generate", unit: "tokens")
        let results = try Generator(model, ends: ends).continuations(
            of: requests, maximum: maximum, sampler: sampler
        ) { made, _ in
            try phase.update(made, of: requests.count * maximum)
        }
        if results.contains(where: { $0.ending == .notANumber }) {
            throw JobFailure(
                .badInput, "the model's output is not a number", hint: "choose a version with sound weights")
        }
        let shown = results.map { Self.json($0, tokenizer) }
        var result = WorkerResult()
        result.result = shown.count == 1 && parameters.prompts == nil ? shown[0] : .array(shown)
        return result
    }

    private var sampler: Sampler {
        let parameters = context.parameters
        let draws = parameters.topK != nil || parameters.topP != nil || parameters.count ?? 1 > 1
        return Sampler(
            temperature: parameters.temperature ?? (draws ? 1 : 0), topK: parameters.topK,
            topP: parameters.topP, seed: context.spec.seed ?? 0)
    }

    private static func json(_ continuation: Generator.Continuation, _ tokenizer: Tokenizer) -> JSONValue {
        // The end is a token that the model made: it is shown, and nothing follows it.
        let tokens = continuation.tokens + (continuation.end.map { [$0] } ?? [])
        return [
            "ids": .array(tokens.map { .integer(Int64($0)) }),
            // The text of all these ids, and what a reader wants to see of it.
            "text": .string(tokenizer.decode(tokens, skipSpecialTokens: false)),
            "plain_text": .string(tokenizer.decode(tokens, skipSpecialTokens: true)),
            "ending": .string(continuation.ending.rawValue),
        ]
    }
}
