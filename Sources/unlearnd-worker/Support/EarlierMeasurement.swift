// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Engine
import Protocol

/// Measures the forget sets of earlier requests again, each as its own job did.
struct EarlierMeasurement {
    /// A request, and its rows as the base's examples; none where it is not re-verifiable.
    private struct Item {
        var request: EarlierRequest
        var sets: Evaluator.Sets?
        var accuracy = AccuracyUnit.token
    }
    private var items: [Item] = []
    private let context: JobContext

    /// The requests with what was measured of them so far; `nil` where there are none.
    var requests: [EarlierRequest]? { items.isEmpty ? nil : items.map(\.request) }

    /// Reads the sets that are still there. One that cannot be read makes its request not re-verifiable: it is no
    /// fault of this job.
    init(_ context: JobContext, base: @autoclosure () throws -> CheckpointReader) throws {
        self.context = context
        guard let checks = context.order.earlier, !checks.isEmpty else { return }
        let files = VersionFiles(reader: try base())
        let configuration = try files.configuration()
        for check in checks {
            var item = Item(request: check.request)
            if item.request.reason == nil {
                let parameters = check.parameters ?? JobParameters()
                item.accuracy = parameters.accuracy ?? .token
                do {
                    let rows = try DatasetParser.parse(
                        context.store.readDataset(item.request.forget),
                        name: "forget set of job \(item.request.job)")
                    let examples = try RowSets.examples(
                        of: rows, name: "forget set of job \(item.request.job)", files, configuration,
                        parameters)
                    item.sets = Evaluator.Sets(forget: examples)
                } catch let error as CheckpointError where error.code == .missing {
                    item.request.reason = "the forget set was purged"
                } catch {
                    item.request.reason = "the forget set cannot be read: \(error)"
                }
            }
            items.append(item)
        }
    }

    /// Measures the base.
    mutating func before(_ model: Transformer) throws { try measure(model, "earlier-before", \.before) }

    /// Measures the result, or one that may not be kept.
    mutating func after(_ model: Transformer) throws { try measure(model, "earlier-after", \.after) }

    private mutating func measure(
        _ model: Transformer, _ name: String, _ role: WritableKeyPath<EarlierRequest, EarlierRequest.Figures?>
    ) throws {
        let total = items.reduce(0) { $0 + ($1.sets?.count ?? 0) }
        guard total > 0 else { return }
        let phase = context.phase(name, unit: "rows")
        var done = 0
        for index in items.indices {
            guard let sets = items[index].sets else { continue }
            let evaluator = Evaluator(model, ranks: context.ranks)
            let figures = try evaluator.figures(sets, accuracy: items[index].accuracy) { count, _ in
                try phase.update(done + count, of: total)
            }
            done += sets.count
            items[index].request[keyPath: role] = EarlierRequest.Figures(figures)
        }
    }
}
