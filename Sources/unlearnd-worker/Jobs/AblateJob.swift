// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Engine
import Protocol

/// Switches off the neurons and heads that carry the forget set (localized knowledge ablation).
struct AblateJob {
    private let context: JobContext
    private let base: CheckpointReader
    private let files: VersionFiles
    private let configuration: ModelConfiguration
    private let rows: RowSets
    private let sets: Evaluator.Sets
    private let forget: [Example]

    /// Opens the base and makes examples of the datasets: faults of the data show before anything is done.
    init(_ context: JobContext) throws {
        self.context = context
        base = try context.reader(context.order.base, "base")
        files = VersionFiles(reader: base)
        configuration = try files.configuration()
        rows = try RowSets(context)
        sets = try rows.examples(files, configuration, context.parameters)
        guard let forget = sets.forget else {
            throw JobFailure(.badInput, "ablate has no forget set", hint: "give --forget")
        }
        self.forget = forget
    }

    func run() throws -> WorkerResult {
        try context.predictMemory(configuration, sets)
        try context.snapshot(base)
        let (model, loaded) = try files.model(configuration, context)
        try loaded.requireFinite()
        var measurement = context.wantsEvaluation ? Measurement(context, rows) : nil
        try measurement?.before(model, sets)

        let (ranking, means) = try rank(model)
        let mode = context.parameters.mode ?? .zero
        func ablation(_ units: [AblationUnit]) throws -> UnitAblation {
            try UnitAblation(
                model, bindings: loaded.bindings, units: units, mode: mode,
                factor: context.parameters.factor ?? 0.1, means: means)
        }
        let (chosen, trials) = try choose(ranking, model, ablation)
        let edit = try ablation(chosen.map(\.unit))
        let share = Double(edit.parameters) / Double(model.table.parameterCount)
        context.log(
            "\(mode.rawValue): \(chosen.count) of \(ranking.candidates) units, \(edit.parameters) parameters")

        // The writer needs room for chunks and their compression.
        model.releaseActivations()
        let phase = context.phase("edit", unit: "bytes")
        let made = try CheckpointRewriter.rewrite(
            base: base, threads: context.threads, provenance: try context.provenance(),
            parent: base.manifestID, partners: context.partners, progress: { try phase.update($0, of: $1) },
            transform: { try edit.edit($0, $1) })
        var result = try WorkerResult(
            edited: made, noOp: "the output weights of the chosen units were what they would become")
        if var figures = result.result?.objectValue {
            figures["ablation"] = try JSONValue(
                encoding: report(chosen, trials, ranking, edit, share: share))
            result.result = .object(figures)
        }
        context.evidence.add(.units, evidence(chosen, edit, total: model.table.parameterCount))

        if measurement != nil {
            let written = VersionFiles(
                reader: try CheckpointReader(store: context.store, manifestID: made.manifestID))
            _ = try written.load(into: model, context)
            try measurement?.after(model, sets)
        }
        try measurement?.reference()
        result.evaluation = measurement?.report
        return result
    }

    /// Attributes both sets, and ranks.
    private func rank(_ model: Transformer) throws -> (UnitRanking, [AblationUnit.Kind: [Double]]) {
        let parameters = context.parameters
        let kinds: Set<AblationUnit.Kind> =
            switch parameters.units ?? .both {
            case .neurons: [.neuron]
            case .heads: [.head]
            case .both: [.neuron, .head]
            }
        let attribution = UnitAttribution(
            model, kinds: kinds, method: parameters.attribution ?? .gradient,
            steps: parameters.attributionSteps ?? 20, batchSize: parameters.batchSize ?? 4,
            ranks: context.ranks)
        func scores(_ examples: [Example], _ name: String) throws -> UnitScores {
            let phase = context.phase("attribute-\(name)", unit: "passes")
            return try attribution.scores(examples.spread(to: parameters.attributionRows ?? 512)) {
                try phase.update($0, of: $1)
            }
        }
        let forgetScores = try scores(forget, "forget")
        let retainScores = try sets.retain.map { try scores($0, "retain") }
        let ranking = UnitRanking(
            configuration, forget: forgetScores, retain: retainScores,
            retainWeight: parameters.retainWeight ?? 1)
        return (ranking, (retainScores ?? forgetScores).means)
    }

    private func choose(
        _ ranking: UnitRanking, _ model: Transformer, _ ablation: ([AblationUnit]) throws -> UnitAblation
    ) throws -> (chosen: [UnitRanking.Entry], trials: [PrefixTrial]) {
        let parameters = context.parameters
        let choice: UnitChoice =
            if let drop = parameters.targetDrop { .targetDrop(drop) } else if let count = parameters.count {
                .count(count)
            } else { .fraction(parameters.fraction ?? 0.01) }
        let phase = context.phase("choose", unit: "trials")
        var done = 0
        let (count, trials) = try ranking.take(choice) { units in
            let edit = try ablation(ranking.entries.prefix(units).map(\.unit))
            done += 1
            return try edit.inMemory(model) {
                let scores = try model.rowScores(forget, ranks: context.ranks) { _ in
                    try context.checkCancelled()
                }
                let accuracy = SetScore(scores).accuracy(parameters.accuracy ?? .token)
                try phase.update(
                    done, of: nil, figures: ["units": Double(units), "forget_accuracy": accuracy])
                return accuracy
            }
        }
        return (Array(ranking.entries.prefix(count)), trials)
    }

    /// The units by layer, for the picture of them.
    private func evidence(_ chosen: [UnitRanking.Entry], _ edit: UnitAblation, total: Int) -> JSONValue {
        func units(_ kind: AblationUnit.Kind) -> JSONValue {
            let layers = (0..<configuration.layers).map { layer -> JSONValue in
                let entries = chosen.filter { $0.unit.kind == kind && $0.unit.layer == layer }
                return [
                    "layer": .integer(Int64(layer)),
                    "units": .array(entries.map { .integer(Int64($0.unit.index)) }),
                    "scores": .array(entries.map { .number($0.score) }),
                ]
            }
            return ["width": .integer(Int64(configuration.units(kind))), "layers": .array(layers)]
        }
        return [
            "neurons": units(.neuron), "heads": units(.head),
            "parameters": [
                "touched": .integer(Int64(edit.parameters)), "total": .integer(Int64(total)),
            ],
        ]
    }

    private func report(
        _ chosen: [UnitRanking.Entry], _ trials: [PrefixTrial], _ ranking: UnitRanking, _ edit: UnitAblation,
        share: Double
    ) -> AblationReport {
        let layers = (0..<configuration.layers).map { layer in
            let units = chosen.filter { $0.unit.layer == layer }
            return AblationReport.Layer(
                layer: layer, neurons: units.count { $0.unit.kind == .neuron },
                heads: units.count { $0.unit.kind == .head })
        }
        return AblationReport(
            mode: context.parameters.mode ?? .zero, candidates: ranking.candidates, count: chosen.count,
            parameters: edit.parameters, share: share,
            units: chosen.prefix(AblationReport.most).map {
                AblationReport.Unit(
                    kind: $0.unit.kind.rawValue, layer: $0.unit.layer, index: $0.unit.index, score: $0.score,
                    forget: $0.forget, retain: $0.retain)
            }, layers: layers,
            trials: trials.map { AblationReport.Trial(units: $0.units, forgetAccuracy: $0.accuracy) })
    }
}

extension Array {
    /// At most `count` of them, evenly spread.
    func spread(to count: Int) -> [Element] {
        guard self.count > count else { return self }
        return (0..<count).map { self[$0 * self.count / count] }
    }
}
