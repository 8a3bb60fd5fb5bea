// SPDX-License-Identifier: Apache-2.0

import Protocol

extension ReportBuilder {
    /// The job's family, ranked and drawn.
    var sweep: [Block] {
        guard !source.family.isEmpty else { return [] }
        return Self.sweep(
            source.family, current: job.id, head: source.versions.first(where: \.head)?.version)
    }

    /// A family of jobs, best first, forget against retain, and how to take the best.
    ///
    /// - Parameters:
    ///   - current: The job that the report is on; marked.
    ///   - head: The model's head now, where that is known.
    package static func sweep(_ family: [Job], current: JobID?, head: VersionNumber? = nil) -> [Block] {
        let ranking = SweepRanking(family)
        let names = Set(family.flatMap { job in (job.spec.sweep?.values ?? [:]).keys }).sorted()
        let figures = ["Utility", "Forget", "Retain", "Distance"]
        let firstFigure = 4 + names.count
        var numbers = Set(firstFigure..<firstFigure + figures.count)
        numbers.formUnion(3..<3 + names.count)
        numbers.insert(1)
        var table = ReportTable(
            "Best first: those that meet the gate, then by utility to the hundredth, then by how close forget accuracy comes to the reference's, or else to the holdout set's.",
            ["Rank", "Job", "Version"] + names + ["Gate"] + figures, numbers: numbers)
        for (index, entry) in ranking.entries.enumerated() {
            let values = entry.job.spec.sweep?.values ?? [:]
            var row: [String] = [
                entry.job.id == current ? "\(index + 1) ←" : "\(index + 1)", "\(entry.job.id)",
            ]
            row.append(entry.job.version?.description ?? entry.job.state.rawValue)
            for name in names {
                let value = values[name]
                row.append(value?.stringValue ?? value?.serializedString() ?? "–")
            }
            row.append(entry.passed.map { $0 ? "met" : "refused" } ?? "–")
            for figure in [entry.utility, entry.forget, entry.retain, entry.distance] {
                row.append(Text.figure(figure))
            }
            table.rows.append(row)
        }
        var blocks: [Block] = []
        let open = family.filter { !$0.state.isTerminal }.count
        if open > 0 { blocks.append(.verdict(.open, "\(open) of \(family.count) jobs have not ended yet.")) }
        if let chart = chart(ranking) { blocks.append(.chart(chart)) }
        blocks.append(.table(table))
        guard open == 0 else { return blocks }
        guard let best = ranking.best, let model = best.job.model, let version = best.job.version else {
            blocks.append(.verdict(.bad, "None of the family meets the gate."))
            return blocks
        }
        guard version != head else {
            blocks.append(
                .verdict(.good, "The best is \(model)@\(version) of job \(best.job.id). It is the head now."))
            return blocks
        }
        let met = best.passed == nil ? "there was no gate" : "it meets the gate"
        blocks.append(
            .verdict(
                .good, "The best is \(model)@\(version) of job \(best.job.id): \(met). It becomes head by:"))
        blocks.append(
            .command(
                "unlearnctl promote \(model)@\(version) --reason \"best of sweep \(best.job.spec.sweep?.family ?? "")\""
            ))
        return blocks
    }

    private static func chart(_ ranking: SweepRanking) -> Chart? {
        let points = ranking.entries.enumerated().compactMap { index, entry -> Chart.Points.Point? in
            guard let forget = entry.forget, let retain = entry.retain else { return nil }
            return Chart.Points.Point(
                name: "\(index + 1)", x: forget, y: retain, isFilled: entry.passed != false)
        }
        guard points.count > 1 else { return nil }
        let hasGate = ranking.entries.contains { $0.passed != nil }
        return Chart(
            title: "Forgotten against kept",
            summary:
                "A point for each job, named by its rank: the further left, the more was forgotten; the higher, the more was kept.",
            content: .points(
                Chart.Points(
                    x: Chart.Axis("forget accuracy"), y: Chart.Axis("retain accuracy"), points: points,
                    filled: hasGate ? "gate met" : "", hollow: "gate refused")))
    }
}
