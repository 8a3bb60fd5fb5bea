// SPDX-License-Identifier: Apache-2.0

import Engine
import Glibc
import Protocol

/// Makes the order's attacks on versions and puts together what they found.
struct AttackSuite {
    /// What one attack found on one version.
    struct Series {
        var points: [String]
        var values: [Double?]
        var figures: [String: Double] = [:]
        /// What a search for a suffix came to, where there was one.
        var suffix: String?
    }

    /// Whose weights are attacked.
    enum Role: String, CaseIterable {
        case before, result, reference
    }

    private let context: JobContext
    private let rows: RowSets
    private let kinds: [AttackKind]
    private var found: [Role: [AttackKind: Series]] = [:]

    /// The order's attacks; none where it has none.
    init(_ context: JobContext, _ rows: RowSets) {
        self.context = context
        self.rows = rows
        // Those that change the weights come last.
        let order: [AttackKind] = [.probe, .prompt, .quantize, .relearn]
        kinds = order.filter { context.spec.attacks?.contains($0) == true }
    }

    /// Whether there is anything to do.
    var isEmpty: Bool { kinds.isEmpty }

    /// Attacks a version whose weights `model` holds; afterwards it holds them again. Of the version before the edit
    /// only what it says by itself is wanted: the probe.
    mutating func attack(_ role: Role, _ model: Transformer, _ sets: Evaluator.Sets) throws {
        guard !isEmpty else { return }
        guard let forget = sets.forget else {
            throw JobFailure(.badInput, "an attack has no forget set", hint: "give --forget")
        }
        let weights = try kinds.contains { $0 != .probe && $0 != .prompt } ? WeightBackup(model) : nil
        for kind in kinds where role != .before || kind == .probe {
            let phase = context.phase("attack-\(kind.rawValue)-\(role.rawValue)", unit: "rows")
            let series =
                switch kind {
                case .probe: try probe(model, forget, phase)
                case .quantize: try quantize(model, weights, forget, phase)
                case .relearn: try relearn(model, weights, forget, sets.retain, phase)
                case .prompt:
                    try PromptAttack(
                        context, rows, model, try tokenizer(role), forget: forget, retain: sets.retain
                    ).run(phase)
                }
            found[role, default: [:]][kind] = series
            let values = series.values.map { $0.map { "\(($0 * 1000).rounded() / 1000)" } ?? "–" }
            context.log(
                "attack \(kind.rawValue) on the \(role.rawValue): \(values.joined(separator: ", "))")
        }
    }

    /// Attacks the reference, if the order has one, by its own tokenizer.
    mutating func attackReference() throws {
        guard !isEmpty, context.order.reference != nil else { return }
        let files = VersionFiles(reader: try context.reader(context.order.reference, "reference"))
        let configuration = try files.configuration()
        let sets = try rows.examples(files, configuration, context.parameters)
        let (model, _) = try files.model(configuration, context)
        try attack(.reference, model, sets)
    }

    /// An edit leaves the tokenizer as it is.
    private func tokenizer(_ role: Role) throws -> Tokenizer? {
        let binding = role == .reference ? context.order.reference : context.order.base
        return try VersionFiles(reader: try context.reader(binding, role.rawValue)).tokenizer()
    }

    /// What was found, also as evidence; `nil` without attacks.
    func report(before: EvaluationFigures?) throws -> AttackReport? {
        guard let results = found[.result], !isEmpty else { return nil }
        let outcomes = kinds.compactMap { kind -> AttackOutcome? in
            guard let result = results[kind] else { return nil }
            var earlier = found[.before]?[kind]?.values
            if kind == .quantize, let accuracy = before?.forgetAccuracy, context.parameters.accuracy != .row {
                earlier = [accuracy] + [Double?](repeating: nil, count: result.values.count - 1)
            }
            return AttackOutcome(
                kind, axis: kind.axis, points: result.points, measure: kind.measure,
                start: kind == .probe ? result.points.count - 1 : 0, result: result.values,
                reference: found[.reference]?[kind]?.values, before: earlier, figures: result.figures)
        }
        let report = AttackReport(outcomes)
        for outcome in outcomes {
            var series = JSONObject()
            series["result"] = JSONValue(numbers: outcome.result)
            series["reference"] = outcome.reference.map(JSONValue.init(numbers:))
            series["before"] = outcome.before.map(JSONValue.init(numbers:))
            context.evidence.add(
                .attack,
                [
                    outcome.kind.rawValue: [
                        "x": [
                            "name": .string(outcome.axis),
                            "labels": .array(outcome.points.map(JSONValue.string)),
                        ],
                        "y": .string(outcome.measure), "series": .object(series),
                        "gap": outcome.gap.map(JSONValue.number) ?? .null,
                        "survived": outcome.recovered.map { .bool(!$0) } ?? .null,
                        "figures": try JSONValue(encoding: outcome.figures),
                    ]
                ], texts: suffixes(of: outcome.kind))
        }
        context.log("attacks: \(report.verdict.rawValue)")
        return report
    }

    /// What was found to type behind a question, by role: a text that was made from the rows, kept apart as they are.
    private func suffixes(of kind: AttackKind) -> JSONValue? {
        var texts = JSONObject()
        for role in Role.allCases {
            if let text = found[role]?[kind]?.suffix { texts[role.rawValue] = .string(text) }
        }
        return texts.isEmpty ? nil : [kind.rawValue: ["suffix": .object(texts)]]
    }

    // MARK: The attacks

    private var parameters: JobParameters { context.parameters }

    /// The rows that are attacked: at most 512 unless told otherwise, evenly spread.
    private func attacked(_ forget: [Example]) -> [Example] {
        forget.spread(to: parameters.attackRows ?? 512)
    }

    private func probe(_ model: Transformer, _ forget: [Example], _ phase: Phase) throws -> Series {
        let layers = try LayerProbe.layers(of: model, attacked(forget), ranks: context.ranks) {
            try phase.update($0, of: $1)
        }
        let best = layers.indices.max { layers[$0].accuracy < layers[$1].accuracy } ?? 0
        return Series(
            points: layers.indices.map { "\($0)" }, values: layers.map(\.accuracy),
            figures: [
                "best_layer": Double(best), "best_probability": layers.map(\.probability).max() ?? 0,
                "last_probability": layers.last?.probability ?? 0,
            ])
    }

    private func quantize(
        _ model: Transformer, _ weights: WeightBackup?, _ forget: [Example], _ phase: Phase
    ) throws -> Series {
        let rows = attacked(forget)
        let formats = parameters.quantize ?? QuantizationFormat.allCases
        var series = Series(points: ["none"], values: [])
        func measure(_ name: String) throws {
            var done = 0
            let scores = try model.rowScores(rows, ranks: context.ranks) { count in
                done += count
                try phase.update(done, of: rows.count)
            }
            let set = SetScore(scores)
            series.values.append(set.accuracy(.token).finite)
            series.figures["probability_\(name)"] = set.meanProbability
        }
        try measure("none")
        for format in formats {
            WeightQuantizer.quantize(model, to: format)
            series.points.append(format.rawValue)
            try measure(format.rawValue)
            weights?.restore(model)
        }
        return series
    }

    private func relearn(
        _ model: Transformer, _ weights: WeightBackup?, _ forget: [Example], _ retain: [Example]?,
        _ phase: Phase
    ) throws -> Series {
        let training: [Example]
        var watched = forget
        switch parameters.relearnOn ?? .forget {
        case .retain:
            guard let retain else {
                throw JobFailure(
                    .badInput, "relearning on benign text has no retain set", hint: "give --retain FILE")
            }
            training = retain.spread(to: parameters.relearnRows ?? 64)
        case .forget:
            // A quarter of few rows; the others tell whether more comes back than what is given.
            let count = parameters.relearnRows ?? min(20, max(1, forget.count / 4))
            training = forget.spread(to: count)
            let lines = Set(training.map(\.line))
            let others = forget.filter { !lines.contains($0.line) }
            if !others.isEmpty { watched = others }
        }
        watched = watched.spread(to: parameters.attackRows ?? 512)
        let settings = Relearning.Settings(
            steps: parameters.relearnSteps ?? 50, learningRate: parameters.relearnRate ?? 1e-5,
            batchSize: parameters.batchSize ?? 4, seed: context.spec.seed ?? 0)
        let curve = try Relearning.curve(
            model, training: training, watched: watched, settings: settings, ranks: context.ranks
        ) {
            try phase.update($0, of: settings.steps)
        }
        weights?.restore(model)
        return Series(
            points: curve.map { "\($0.step)" }, values: curve.map(\.accuracy.finite),
            figures: [
                "rows": Double(training.count), "watched": Double(watched.count),
                "learning_rate": settings.learningRate,
                "probability_first": curve.first?.probability ?? 0,
                "probability_last": curve.last?.probability ?? 0,
            ])
    }
}

extension AttackKind {
    /// What its points are.
    var axis: String {
        switch self {
        case .relearn: "step"
        case .quantize: "format"
        case .prompt: "variant"
        case .probe: "layer"
        }
    }

    /// What is measured at each point.
    var measure: String { self == .prompt ? "leak" : "forget_accuracy" }
}

extension SetScore {
    /// Mean over the rows of exp(−mean NLL).
    var meanProbability: Double {
        rows.reduce(0) { $0 + exp(-$1.meanLoss) } / Double(max(rows.count, 1))
    }
}

extension JSONValue {
    /// Numbers and nulls.
    fileprivate init(numbers: [Double?]) {
        self = .array(numbers.map { $0.finite.map(JSONValue.number) ?? .null })
    }
}

extension Double {
    /// The number unless it is NaN or infinite.
    fileprivate var finite: Double? { isFinite ? self : nil }
}
