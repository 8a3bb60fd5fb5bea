// SPDX-License-Identifier: Apache-2.0

import Protocol

extension ReportBuilder {
    /// The losses of a set's rows under one version; empty where they were not kept.
    private func losses(_ role: String, _ set: String) -> [Double] {
        let sets = source.evidence[.rows]?.data?["sets"]?.arrayValue ?? []
        return sets.filter { $0["role"]?.stringValue == role && $0["set"]?.stringValue == set }.flatMap {
            ($0["columns"]?["loss"]?.arrayValue ?? []).compactMap { $0.doubleValue }
        }
    }

    /// How well the loss tells forgotten rows from rows never seen: the ROC curve and the losses behind it.
    var membership: [Block] {
        guard job.kind.unlearns || job.kind == .evaluate, job.evaluation?.after != nil else { return [] }
        guard job.spec.forget != nil, job.spec.holdout != nil else {
            return [
                .note(
                    "Not measured: membership inference compares forgotten rows with rows that the model never saw, and no holdout set was given."
                )
            ]
        }
        guard source.evidence[.rows] != nil else {
            return [.note("The rows' scores were not kept, so no curve can be drawn; the AUC stands above.")]
        }
        var curves: [Chart.Lines.Series] = []
        var areas: [String] = []
        for (role, name) in [
            ("before", "before"), ("after", job.kind == .evaluate ? "measured" : "after"),
            ("reference", "reference"),
        ] {
            let (members, others) = (losses(role, "forget"), losses(role, "holdout"))
            guard let points = Self.curve(members, others) else { continue }
            curves.append(Chart.Lines.Series(name: name, points: points))
            areas.append("\(name) \(Text.fixed(Self.area(points), 3))")
        }
        var blocks: [Block] = [
            .paragraph(
                "An attacker who sees a row's loss guesses whether the model was trained on it. On the dotted line the guess is no better than chance, which is the aim; a curve far below it gives the forgotten rows away as surely as one far above."
            )
        ]
        if !curves.isEmpty {
            blocks.append(
                .chart(
                    Chart(
                        title: "ROC of membership inference by loss",
                        summary: "Area under the curve: \(areas.joined(separator: ", ")). 0.5 is chance.",
                        content: .lines(
                            Chart.Lines(
                                x: Chart.Axis("holdout rows called members", 0...1),
                                y: Chart.Axis("forget rows found", 0...1), series: curves,
                                hasDiagonal: true, marksPoints: false)))))
        }
        for (role, name) in [
            ("before", "before"), ("after", job.kind == .evaluate ? "as measured" : "after"),
            ("reference", "of the reference"),
        ] {
            if let chart = histogram(role, name) { blocks.append(.chart(chart)) }
        }
        return blocks
    }

    /// The points of the ROC curve, at most a few hundred; rows with equal scores count together.
    static func curve(_ members: [Double], _ others: [Double]) -> [(x: Double, y: Double)]? {
        guard !members.isEmpty, !others.isEmpty else { return nil }
        let all = (members.map { ($0, true) } + others.map { ($0, false) }).sorted { $0.0 < $1.0 }
        var points: [(x: Double, y: Double)] = [(0, 0)]
        var found = 0
        var wrong = 0
        for (index, (loss, isMember)) in all.enumerated() {
            if isMember { found += 1 } else { wrong += 1 }
            if index + 1 < all.count, all[index + 1].0 == loss { continue }
            points.append((Double(wrong) / Double(others.count), Double(found) / Double(members.count)))
        }
        return thinned(points, most: 400)
    }

    /// Every so many points, and the last.
    private static func thinned(_ points: [(x: Double, y: Double)], most: Int) -> [(x: Double, y: Double)] {
        guard points.count > most else { return points }
        let step = (points.count + most - 1) / most
        var kept = stride(from: 0, to: points.count, by: step).map { points[$0] }
        if (points.count - 1) % step != 0, let last = points.last { kept.append(last) }
        return kept
    }

    /// The area under a curve, by trapezoids.
    static func area(_ points: [(x: Double, y: Double)]) -> Double {
        zip(points, points.dropFirst()).reduce(0) { $0 + ($1.1.x - $1.0.x) * ($1.1.y + $1.0.y) / 2 }
    }

    private func histogram(_ role: String, _ name: String) -> Chart? {
        let sets = ["forget", "retain", "holdout"].map { ($0, losses(role, $0)) }.filter { !$0.1.isEmpty }
        let all = sets.flatMap(\.1).sorted()
        guard sets.count > 1, let first = all.first else { return nil }
        // The few highest losses share the last class, so that they do not squeeze the rest.
        let cut = all[min(all.count - 1, all.count * 99 / 100)]
        let low = first > 0 ? 0 : first
        let high = max(cut, low + 1e-6)
        let classes = 24
        let step = (high - low) / Double(classes)
        let series = sets.map { set, losses in
            var counts = [Double](repeating: 0, count: classes)
            for loss in losses where loss.isFinite {
                counts[max(0, min(classes - 1, Int(max(-1, min(1e6, (loss - low) / step)))))] += 1
            }
            return Chart.Bars.Series(name: "\(set) rows", counts: counts.map { $0 / Double(losses.count) })
        }
        let medians = sets.map { set, losses in
            "\(set) \(Text.figure(losses.sorted()[losses.count / 2]))"
        }
        return Chart(
            title: "Losses of the rows, \(name)",
            summary: "Median loss: \(medians.joined(separator: ", ")). The last class holds all beyond it.",
            content: .bars(
                Chart.Bars(
                    borders: (0...classes).map { low + Double($0) * step },
                    x: "mean loss of a row, nats per token", y: "share of the set's rows", series: series)))
    }
}
