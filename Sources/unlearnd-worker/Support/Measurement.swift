// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Engine
import Protocol

/// Takes the figures of versions on the order's sets and reports them.
struct Measurement {
    let context: JobContext
    let rows: RowSets
    private(set) var report = EvaluationReport()
    private var samples = SampleTexts()
    /// The base's; inner `nil` when it has none that can be read, outer before it was looked for.
    private var tokenizer: Tokenizer??
    private var measured: [Role: [MeasuredSet]] = [:]
    private var attacks: AttackSuite
    /// Earlier requests, from the first measurement on.
    private var earlier: EarlierMeasurement?

    init(_ context: JobContext, _ rows: RowSets) {
        self.context = context
        self.rows = rows
        attacks = AttackSuite(context, rows)
    }

    private enum Role: String, CaseIterable {
        case before, after, reference
        /// Of a result that may not be kept: it is returned and not reported.
        case trial
    }

    /// What `gate` says of a model that an edit would make; the reference, if there is one, was measured before.
    mutating func judge(_ gate: Gate, _ model: Transformer, _ sets: Evaluator.Sets) throws -> (
        figures: EvaluationFigures, verdict: GateVerdict
    ) {
        var figures = try figures(model, sets, .trial)
        figures.compare(measured[.trial] ?? [], with: measured[.reference], metrics: rows.metrics)
        try remeasure { try $0.after(model) }
        return (
            figures,
            gate.judge(
                before: report.before, after: figures, reference: report.reference,
                earlier: earlier?.requests ?? [])
        )
    }

    /// Measures the base.
    mutating func before(_ model: Transformer, _ sets: Evaluator.Sets) throws {
        report.before = try figures(model, sets, .before)
        try ask(model, sets, .before)
        try remeasure { try $0.before(model) }
        try attacks.attack(.before, model, sets)
    }

    /// Measures the result, and attacks it: the weights of `model` are as before when it returns.
    /// - Throws: `JobFailure` with `diverged` when an edit left a model whose output is not a number: such a version
    ///   is not kept. A job that only measures reports it.
    mutating func after(_ model: Transformer, _ sets: Evaluator.Sets) throws {
        let figures = try figures(model, sets, .after)
        report.after = figures
        try ask(model, sets, .after)
        guard context.spec.kind != .evaluate else { return }
        let losses = [
            "forget": figures.forgetLoss, "retain": figures.retainLoss, "holdout": figures.holdoutLoss,
        ]
        for (name, loss) in losses.sorted(by: { $0.key < $1.key })
        where loss == nil && figures.tokens[name] != nil {
            throw JobFailure(
                .diverged, "the edited model's loss on the \(name) set is not a number",
                hint: "edit less: lower --learning-rate, --epochs or --scale")
        }
        try remeasure { try $0.after(model) }
        try attacks.attack(.result, model, sets)
    }

    /// Measures the forget sets of earlier requests.
    private mutating func remeasure(_ body: (inout EarlierMeasurement) throws -> Void) throws {
        var known =
            try earlier
            ?? EarlierMeasurement(context, base: try context.reader(context.order.base, "base"))
        try body(&known)
        earlier = known
    }

    /// Measures the reference by its own tokenizer, if the order has one, attacks it likewise, and completes the report:
    /// figures that compare versions, limits, and the rows' scores.
    mutating func reference() throws {
        defer { samples.add(to: context.evidence) }
        try measureReference()
        let goal = measured[.reference]
        report.before?.compare(measured[.before] ?? [], with: goal, metrics: rows.metrics)
        report.after?.compare(measured[.after] ?? [], with: goal, metrics: rows.metrics)
        report.reference?.compare(goal ?? [], with: goal, metrics: rows.metrics)
        report.attacks = try attacks.report(before: report.before)
        report.after?.attacks = report.attacks?.figures ?? [:]
        report.earlier = earlier?.requests
        report.limits = EvaluationLimits.sentences(report, of: context.spec)
        for role in Role.allCases where role != .trial {
            for set in measured[role] ?? [] {
                context.evidence.add(.rows, ["sets": .array([set.evidence(role: role.rawValue)])])
            }
        }
    }

    /// Measures and attacks the reference unless that was done.
    mutating func measureReference() throws {
        guard context.order.reference != nil, report.reference == nil else { return }
        let files = VersionFiles(reader: try context.reader(context.order.reference, "reference"))
        let configuration = try files.configuration()
        let sets = try rows.examples(files, configuration, context.parameters)
        let (model, _) = try files.model(configuration, context)
        report.reference = try figures(model, sets, .reference)
        try ask(model, sets, .reference, files)
        try attacks.attack(.reference, model, sets)
        try model.shards?.close()
    }

    /// Lets the version answer a few rows; by the base's tokenizer, which an edit leaves as it is, unless `files` says
    /// otherwise.
    private mutating func ask(
        _ model: Transformer, _ sets: Evaluator.Sets, _ role: Role, _ files: VersionFiles? = nil
    ) throws {
        // No figure is made of these few rows: one rank is enough.
        guard context.ranks.isFirst else { return }
        // Rows of ids need no tokenizer: one that cannot be read costs the samples, not the job.
        let own: Tokenizer?
        if let files {
            own = try? files.tokenizer()
        } else if let known = tokenizer {
            own = known
        } else {
            own = try? VersionFiles(reader: try context.reader(context.order.base, "base")).tokenizer()
            tokenizer = .some(own)
        }
        try samples.take(model, sets, own, role: role.rawValue, checking: context.checkCancelled)
    }

    private mutating func figures(_ model: Transformer, _ sets: Evaluator.Sets, _ role: Role) throws
        -> EvaluationFigures
    {
        let phase = context.phase("evaluate-\(role.rawValue)", unit: "rows")
        let measured = try context.profiled("evaluate-\(role.rawValue)") {
            try Evaluator(model, metrics: rows.metrics, ranks: context.ranks).measure(sets) {
                try phase.update($0, of: $1)
            }
        }
        self.measured[role] = measured
        let figures = EvaluationFigures(
            measured, accuracy: context.parameters.accuracy ?? .token, metrics: rows.metrics)
        if role != .trial { try context.send(.evaluation(role: role.rawValue, figures: figures)) }
        return figures
    }
}
