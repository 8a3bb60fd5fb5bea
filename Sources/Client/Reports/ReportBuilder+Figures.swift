// SPDX-License-Identifier: Apache-2.0

import Protocol

extension ReportBuilder {
    /// The roles that were measured, with the heading of their column.
    private var roles: [(role: String, heading: String)] {
        [
            ("before", "Before"), ("after", job.kind == .evaluate ? "Measured" : "After"),
            ("reference", "Reference"),
        ]
        .filter { source.figures($0.0) != nil }
    }

    /// The figures of base, result and reference side by side.
    var measured: [Block] {
        guard !roles.isEmpty else {
            let measures = job.kind.unlearns || job.kind == .evaluate
            return measures && job.state.isTerminal ? [.note("Nothing was measured.")] : []
        }
        let unit = job.evaluation?.after?.accuracy ?? .token
        var table = ReportTable(
            "Accuracies count \(unit == .token ? "tokens" : "whole rows"); losses are nats per token.",
            [""] + roles.map(\.heading), numbers: Set(1...roles.count))
        let names = Set(roles.flatMap { source.figures($0.role)?.keys ?? [] })
        let known = Self.figureNames.filter { names.contains($0.key) }
        let others = names.subtracting(known.map(\.key)).subtracting(Self.otherMembers).sorted()
        for (key, name) in known { add(name, { self.source.figures($0)?[key] }, to: &table) }
        for key in others {
            add(key.replacing("_", with: " "), { self.source.figures($0)?[key] }, to: &table)
        }
        var blocks: [Block] = [.table(table)]
        if let sets = setFigures { blocks.append(.table(sets)) }
        for (reason, names) in reasons { blocks.append(.note("Not measured: \(names): \(reason).")) }
        return blocks
    }

    private static let figureNames: [(key: String, name: String)] = [
        ("forget_accuracy", "forget accuracy"), ("retain_accuracy", "retain accuracy"),
        ("holdout_accuracy", "holdout accuracy"), ("forget_loss", "forget loss"),
        ("retain_loss", "retain loss"), ("holdout_loss", "holdout loss"),
        ("membership_inference_auc", "membership inference AUC"), ("forget_quality", "forget quality"),
        ("privacy_leakage", "privacy leakage"), ("ks_p", "KS p against the reference"),
        ("model_utility", "model utility"),
    ]
    /// Members that are not figures of a version as a whole.
    private static let otherMembers: Set<String> = [
        "accuracy", "tokens", "rows", "reasons", "sets", "membership",
    ]

    private func add(_ name: String, _ value: (String) -> JSONValue?, to table: inout ReportTable) {
        let cells = roles.map { value($0.role).flatMap(Self.cell) }
        if cells.contains(where: { $0 != nil }) { table.rows.append([name] + cells.map { $0 ?? "–" }) }
    }

    private static func cell(_ value: JSONValue) -> String? {
        if let text = value.stringValue { return text }
        return value.doubleValue.map { Text.figure($0) }
    }

    /// Figures of single sets, and of each way to infer membership, where they were measured.
    private var setFigures: ReportTable? {
        var table = ReportTable(
            "By set", [""] + roles.map(\.heading), numbers: Set(1...roles.count))
        for group in ["sets", "membership"] {
            let names = Set(roles.flatMap { source.figures($0.role)?[group]?.objectValue?.keys ?? [] })
            for name in names.sorted() {
                let figures = Set(
                    roles.flatMap { source.figures($0.role)?[group]?[name]?.objectValue?.keys ?? [] })
                for figure in figures.subtracting(["rows", "tokens"]).sorted() {
                    let title = "\(name): \(figure)".replacing("_", with: " ")
                    add(title, { self.source.figures($0)?[group]?[name]?[figure] }, to: &table)
                }
            }
        }
        return table.rows.isEmpty ? nil : table
    }

    /// Why figures are missing; those with one reason together.
    private var reasons: [(reason: String, names: String)] {
        var names: [String: Set<String>] = [:]
        for role in roles {
            for member in source.figures(role.role)?["reasons"]?.objectValue?.members ?? [] {
                if let reason = member.value.stringValue { names[reason, default: []].insert(member.key) }
            }
        }
        return names.sorted { $0.key < $1.key }.map {
            ($0.key, $0.value.sorted().joined(separator: ", ").replacing("_", with: " "))
        }
    }

    /// What was required and what was measured.
    var gate: [Block] {
        guard let gate = job.gate else {
            return job.kind.unlearns && job.state == .succeeded
                ? [.note("No gate was set: nothing was required of the result.")] : []
        }
        var table = ReportTable(
            gate.passed ? "Every condition is met." : "The result is refused unless every condition is met.",
            ["Condition", "Required", "Measured", "Met", "By how much it is missed, and what to try"])
        for condition in gate.conditions {
            let advice = [condition.by, condition.advice].compactMap(\.self).joined(separator: ". ")
            table.rows.append([
                condition.name, condition.required, Self.cell(condition.measured) ?? "nothing",
                condition.passed ? "yes" : "no", advice,
            ])
        }
        return [.table(table)]
    }

    /// The losses of the epochs.
    var training: [Block] {
        guard let epochs = job.training, !epochs.isEmpty else { return [] }
        var table = ReportTable(
            "Means over the steps of each epoch.",
            ["Epoch", "Loss", "Forget loss", "Retain loss", "Steps", "Time"], numbers: [1, 2, 3, 4, 5])
        for epoch in epochs {
            table.rows.append([
                "\(epoch.epoch)", Text.figure(epoch.loss), Text.figure(epoch.forgetLoss),
                Text.figure(epoch.retainLoss), "\(epoch.steps)", Text.duration(epoch.seconds),
            ])
        }
        // Long runs are read from the picture.
        if table.rows.count > 24 {
            table.caption += " The first and the last twelve of \(table.rows.count)."
            table.rows = Array(table.rows.prefix(12) + table.rows.suffix(12))
        }
        let series = [
            ("forget loss", \TrainingEpoch.forgetLoss), ("retain loss", \TrainingEpoch.retainLoss),
            ("combined loss", \TrainingEpoch.loss),
        ].compactMap { name, path -> Chart.Lines.Series? in
            let points = epochs.compactMap { epoch in
                epoch[keyPath: path].map { (x: Double(epoch.epoch), y: $0) }
            }
            return points.isEmpty ? nil : Chart.Lines.Series(name: name, points: points)
        }
        guard epochs.count > 1, !series.isEmpty else { return [.table(table)] }
        let ends = series.compactMap { one -> String? in
            guard let first = one.points.first, let last = one.points.last else { return nil }
            return "\(one.name) from \(Text.figure(first.y)) to \(Text.figure(last.y))"
        }
        let chart = Chart(
            title: "Losses by epoch",
            summary: "From the first to the last epoch: \(ends.joined(separator: ", ")).",
            content: .lines(
                Chart.Lines(
                    x: Chart.Axis("epoch", 1...Double(max(2, epochs.last?.epoch ?? 2))),
                    y: Chart.Axis("mean loss, nats per token"), series: series,
                    marksPoints: epochs.count <= 40)))
        return [.chart(chart), .table(table)]
    }
}
