// SPDX-License-Identifier: Apache-2.0

import Protocol

/// A job for people: what it was asked, what came of it.
enum JobText {
    /// What came of a job that has ended, as a block of lines.
    static func outcome(_ job: Job, _ output: Output) -> String {
        var text = headline(job, output) + "\n"
        if let evaluation = job.evaluation, evaluation.after != nil || evaluation.before != nil {
            text += "\n" + figures(evaluation, kind: job.kind, output)
        }
        text += AttackText.text(job, output) + EarlierText.text(job)
        if let gate = job.gate { text += "\n" + verdict(gate, output) }
        text += "\n" + consequence(job) + "\n"
        return text
    }

    /// `job 7  ascent  gpt2  v1 → v2  succeeded  (3 min 2 s)`.
    static func headline(_ job: Job, _ output: Output) -> String {
        var parts = ["job \(job.id)", job.kind.rawValue]
        if let model = job.model { parts.append(model.text) }
        switch (job.base, job.version) {
        case (let base?, let version?): parts.append("\(base) → \(version)")
        case (let only?, nil), (nil, let only?): parts.append("\(only)")
        case (nil, nil): break
        }
        let style: Style? =
            switch job.state {
            case .succeeded: job.gate?.passed == false ? .yellow : .green
            case .failed, .lost: .red
            default: nil
            }
        parts.append(style.map { output.styled(job.state.rawValue, $0) } ?? job.state.rawValue)
        if let started = job.started, let finished = job.finished {
            parts.append("(\(Text.duration(Double(finished.milliseconds - started.milliseconds) / 1000)))")
        } else if let reason = job.reason {
            parts.append("(\(Text.safe(reason)))")
        }
        return parts.joined(separator: "  ")
    }

    /// The figures of base, result and reference side by side.
    static func figures(_ report: EvaluationReport, kind: JobKind, _ output: Output) -> String {
        var columns: [(String, EvaluationFigures)] = []
        if let before = report.before { columns.append(("before", before)) }
        if let after = report.after { columns.append((kind == .evaluate ? "measured" : "after", after)) }
        if let reference = report.reference { columns.append(("reference", reference)) }
        let unit = columns.first?.1.accuracy.rawValue ?? "token"
        var table = Table([""] + columns.map(\.0), right: Set(1...max(1, columns.count)))
        func row(_ name: String, _ value: (EvaluationFigures) -> String?) {
            let cells = columns.map { value($0.1) }
            if cells.contains(where: { $0 != nil }) { table.add([name] + cells.map { $0 ?? "–" }) }
        }
        func number(_ value: Double?, _ decimals: Int) -> String? {
            value.finite.map { Text.fixed($0, decimals) }
        }
        row("forget accuracy (\(unit))") { number($0.forgetAccuracy, 3) }
        row("retain accuracy (\(unit))") { number($0.retainAccuracy, 3) }
        row("holdout accuracy (\(unit))") { number($0.holdoutAccuracy, 3) }
        row("forget loss") { number($0.forgetLoss, 3) }
        row("retain loss") { number($0.retainLoss, 3) }
        row("holdout loss") { number($0.holdoutLoss, 3) }
        for name in Set(columns.flatMap { $0.1.sets.keys }).sorted() {
            for figure in shown {
                let title = "\(name) \(figure.rawValue.replacing("_", with: " "))"
                row(title) { number($0.sets[name]?[figure], figure == .verbatimRun ? 0 : 3) }
            }
        }
        row("membership inference AUC") { number($0.membershipInferenceAUC, 3) }
        for attack in MembershipAttack.allCases where attack != .loss {
            row("AUC by \(attack.rawValue.replacing("_", with: " "))") {
                number($0.membership[attack.rawValue]?.auc, 3)
            }
        }
        row("privleak") { number($0.privleak, 1) }
        row("KS p against the reference") { $0.ksP.map { Text.figure($0) } }
        row("model utility") { number($0.modelUtility, 3) }
        row("forget quality") { $0.forgetQuality?.rawValue }
        row("privacy leakage") { $0.privacyLeakage?.rawValue }
        let text = table.rendered(width: output.tableWidth) { output.styled($0, .bold) }
        return text + reasons(columns.map(\.1))
    }

    /// Figures of a set that have a line of their own, beside accuracy and loss.
    private static let shown: [SetFigure] = [
        .probability, .extractionStrength, .truthRatio, .replaced, .rougeL, .verbatimRun, .nearVerbatim,
    ]

    /// Why figures are missing; those with one reason on one line.
    private static func reasons(_ columns: [EvaluationFigures]) -> String {
        var names: [String: Set<String>] = [:]
        for figures in columns {
            for (name, reason) in figures.reasons { names[reason, default: []].insert(name) }
        }
        return names.sorted { $0.key < $1.key }.map { reason, names in
            let list = names.sorted().joined(separator: ", ").replacing("_", with: " ").replacing(
                ".", with: " ")
            return "  not measured: \(Text.safe(list)): \(Text.safe(reason))\n"
        }.joined()
    }

    /// What the gate said, with what to try where it refused.
    static func verdict(_ gate: GateVerdict, _ output: Output) -> String {
        var text = gate.passed ? output.styled("gate met", .green) : output.styled("gate refused", .yellow)
        text += "\n"
        for condition in gate.conditions {
            let bound = condition.required.first.map { "<>~=".contains($0) } == true
            let rule = condition.name + (bound ? "" : "=") + condition.required
            var line = "  \(condition.passed ? "✓" : "✗") \(rule): measured \(measured(condition.measured))"
            if let by = condition.by { line += ", \(by)" }
            text += Text.safe(line) + "\n"
            if let advice = condition.advice { text += "    \(Text.safe(advice))\n" }
        }
        return text
    }

    /// What the job changed, or why it changed nothing.
    /// - Parameter base: The version that it started from as it is now, where that is known.
    static func consequence(_ job: Job, base: VersionSummary? = nil) -> String {
        let model = job.model?.text ?? ""
        guard job.state == .succeeded else {
            return job.kind.writesVersion
                ? "Nothing changed: \(model) is as it was." : "The job gave no result."
        }
        guard let version = job.version else {
            switch job.kind {
            case .evaluate: return "Nothing was changed: the version was measured."
            case .attack: return "Nothing was changed: a copy was attacked in memory."
            case .publish: return published(job)
            default: return "Done."
            }
        }
        if job.headMoved == true {
            if let base, base.gone {
                return "\(model)@\(version) is the head now; \(base.version) is gone for good"
            }
            let before = job.base.map { "; \($0) stays: unlearnctl rollback \(model) --to \($0)" } ?? ""
            return "\(model)@\(version) is the head now\(before)"
        }
        switch job.headReason {
        case "gate-refused":
            return "\(model)@\(version) is kept as a candidate; the head stays. To take it all the same: "
                + "unlearnctl promote \(model)@\(version) --reason TEXT"
        case "sweep":
            return
                "\(model)@\(version) is kept as a candidate of its sweep: unlearnctl report \(job.id) ranks them. "
                + "To take this one: unlearnctl promote \(model)@\(version) --reason TEXT"
        case "base-not-head":
            return
                "\(model)@\(version) is kept as a candidate: its base was not the head when it was done. To take it: "
                + "unlearnctl promote \(model)@\(version) --reason TEXT"
        default:
            return "\(model)@\(version) is kept; the head stays"
                + (job.headReason.map { " (\(Text.safe($0)))" } ?? "")
        }
    }

    /// What a target shows now.
    private static func published(_ job: Job) -> String {
        let target = Text.safe(job.result?["target"]?.stringValue ?? "the target")
        guard let version = job.result?["version"]?.stringValue,
            let directory = job.result?["directory"]?.stringValue
        else { return "The head has moved on: a later job switches \(target)." }
        return "\(target) shows \(job.model?.text ?? "")@\(Text.safe(version)), in \(Text.safe(directory))"
    }

    private static func measured(_ value: JSONValue) -> String {
        switch value {
        case .null: "nothing"
        case .string(let text): text
        default: value.doubleValue.map { Text.figure($0) } ?? value.serializedString()
        }
    }
}
