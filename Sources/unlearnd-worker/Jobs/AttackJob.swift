// SPDX-License-Identifier: Apache-2.0

import Engine
import Protocol

/// Attacks a version, and beside it the reference; writes none.
struct AttackJob {
    private let context: JobContext

    init(_ context: JobContext) { self.context = context }

    func run() throws -> WorkerResult {
        let files = VersionFiles(reader: try context.reader(context.order.base, "attacked"))
        let configuration = try files.configuration()
        let rows = try RowSets(context)
        let sets = try rows.examples(files, configuration, context.parameters)
        try context.predictMemory(configuration, sets)
        var suite = AttackSuite(context, rows)
        // One set of weights at a time.
        try attack(&suite, files, configuration, sets)
        try suite.attackReference()
        var result = WorkerResult()
        if let report = try suite.report(before: nil) {
            result.result = ["attacks": try JSONValue(encoding: report)]
        }
        return result
    }

    private func attack(
        _ suite: inout AttackSuite, _ files: VersionFiles, _ configuration: ModelConfiguration,
        _ sets: Evaluator.Sets
    ) throws {
        let (model, loaded) = try files.model(configuration, context)
        try loaded.requireFinite()
        try suite.attack(.result, model, sets)
    }
}
