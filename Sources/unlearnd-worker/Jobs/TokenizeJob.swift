// SPDX-License-Identifier: Apache-2.0

import Engine
import Protocol

/// Shows the tokens of a text.
struct TokenizeJob {
    private let context: JobContext

    init(_ context: JobContext) { self.context = context }

    func run() throws -> WorkerResult {
        guard let text = context.parameters.text else { throw JobFailure(.badInput, "no text was given") }
        let files = VersionFiles(reader: try context.reader(context.order.base, "model's"))
        let ids = try files.requiredTokenizer().encode(
            text, addSpecialTokens: context.parameters.special ?? false)
        var result = WorkerResult()
        result.result = .array(ids.map { .integer(Int64($0)) })
        return result
    }
}
