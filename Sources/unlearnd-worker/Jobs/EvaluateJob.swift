// SPDX-License-Identifier: Apache-2.0

import Engine
import Protocol

/// Measures a version, and beside it the reference.
struct EvaluateJob {
    private let context: JobContext

    init(_ context: JobContext) { self.context = context }

    func run() throws -> WorkerResult {
        let files = VersionFiles(reader: try context.reader(context.order.base, "evaluated"))
        let rows = try RowSets(context)
        let configuration = try files.configuration()
        try context.requireCard(for: configuration)
        let sets = try rows.examples(files, configuration, context.parameters)
        guard sets.count > 0 else {
            throw JobFailure(
                .badInput, "no dataset was given", hint: "give --forget, --retain, --holdout or --utility")
        }
        try context.predictMemory(configuration, sets)
        var measurement = Measurement(context, rows)
        // One set of weights at a time.
        try measure(&measurement, files, configuration, sets)
        try measurement.reference()
        var result = WorkerResult()
        result.evaluation = measurement.report
        return result
    }

    private func measure(
        _ measurement: inout Measurement, _ files: VersionFiles, _ configuration: ModelConfiguration,
        _ sets: Evaluator.Sets
    ) throws {
        let (model, _) = try files.model(configuration, context)
        try measurement.after(model, sets)
    }
}
