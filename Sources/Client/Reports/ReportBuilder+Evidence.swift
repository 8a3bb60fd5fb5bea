// SPDX-License-Identifier: Apache-2.0

import Protocol

extension ReportBuilder {
    // MARK: Samples

    /// What the model says to a few rows, before and after.
    var samples: [Block] {
        guard let piece = source.evidence[.samples], let rows = piece.data?["rows"]?.arrayValue else {
            return job.kind.unlearns && job.state == .succeeded
                ? [.note("No answers were taken: the job was not measured, or its rows are not text.")] : []
        }
        let texts = piece.texts?["rows"]?.arrayValue
        var blocks: [Block] = [
            .paragraph(
                "The first rows of the sets, continued with the most likely token each time, \(piece.data?["max_new_tokens"]?.integerValue ?? 0) tokens at most. Examples, not a measurement."
            )
        ]
        if let purged = piece.purged {
            blocks.append(
                .note("The texts were purged on \(purged); what was measured on them is kept."))
        } else if piece.withheld {
            blocks.append(.note("The texts are shown to operators only."))
        }
        for (index, row) in rows.enumerated() {
            let text = texts.flatMap { $0.indices.contains(index) ? $0[index] : nil }
            let answers = [
                ("before", "before"), ("after", job.kind == .evaluate ? "the model" : "after"),
                ("reference", "reference"),
            ]
            .compactMap { key, role -> (role: String, text: String?, isExpected: Bool?)? in
                let isExpected = row[key]?.boolValue
                guard isExpected != nil || text?[key]?.stringValue != nil else { return nil }
                return (role, Self.shown(text?[key]), isExpected)
            }
            let set = row["set"]?.stringValue ?? ""
            blocks.append(
                .exchange(
                    ReportDocument.Exchange(
                        title: "\(set) set, line \(row["line"]?.integerValue ?? 0)",
                        prompt: text?["prompt"]?.stringValue, expected: Self.shown(text?["expected"]),
                        answers: answers, absence: piece.withheld ? "withheld" : "purged")))
        }
        return blocks
    }

    /// An answer without the white space that stands between it and what was asked.
    private static func shown(_ text: JSONValue?) -> String? {
        text?.stringValue.map { String($0.drop { $0.isWhitespace }) }
    }

    // MARK: Attacks

    /// What attacks brought back, a curve for each.
    var attacks: [Block] {
        var blocks: [Block] = []
        for member in source.evidence[.attack]?.data?.objectValue?.members ?? [] {
            let attack = member.value
            if let survived = attack["survived"]?.boolValue {
                let words = survived ? "the result withstood it" : "it brought back what was to be forgotten"
                blocks.append(.verdict(survived ? .good : .bad, "\(member.key): \(words)"))
            }
            if let chart = Self.chart(of: attack, named: member.key) { blocks.append(.chart(chart)) }
            let numbers = (attack.objectValue?.members ?? []).compactMap { member in
                member.value.doubleValue.map {
                    (name: member.key.replacing("_", with: " "), value: Text.figure($0))
                }
            }
            if !numbers.isEmpty { blocks.append(.facts(numbers)) }
            blocks += suffixes(of: member.key)
        }
        return blocks
    }

    /// What the search for a suffix found, as long as it is kept.
    private func suffixes(of attack: String) -> [Block] {
        let piece = source.evidence[.attack]
        let texts = piece?.texts?[attack]?["suffix"]?.objectValue?.members ?? []
        guard !texts.isEmpty else { return [] }
        return [
            .facts(
                texts.compactMap { role in
                    role.value.stringValue.map { (name: "suffix found for the \(role.key)", value: $0) }
                })
        ]
    }

    private static func chart(of attack: JSONValue, named name: String) -> Chart? {
        let labels = attack["x"]?["labels"]?.arrayValue?.map { $0.stringValue ?? "" }
        let values = attack["x"]?["values"]?.arrayValue?.map { $0.doubleValue ?? .nan }
        let places = values ?? labels.map { $0.indices.map(Double.init) } ?? []
        let figure = (attack["y"]?.stringValue ?? "figure").replacing("_", with: " ")
        let series = (attack["series"]?.objectValue?.members ?? []).compactMap {
            member -> Chart.Lines.Series? in
            let points = zip(places, member.value.arrayValue ?? []).compactMap { x, y in
                y.doubleValue.map { (x: x, y: $0) }
            }.filter { $0.x.isFinite }
            return points.isEmpty ? nil : Chart.Lines.Series(name: member.key, points: points)
        }
        guard let first = series.first, let start = first.points.first, let end = first.points.last else {
            return nil
        }
        return Chart(
            title: "Attack: \(name)",
            summary:
                "\(figure) of the \(first.name): \(Text.figure(start.y)) at first, \(Text.figure(end.y)) in the end.",
            content: .lines(
                Chart.Lines(
                    x: Chart.Axis(
                        attack["x"]?["name"]?.stringValue ?? "",
                        labels.map { -0.3...(Double(max(1, $0.count)) - 0.7) }, labels: labels),
                    y: Chart.Axis(figure), series: series)))
    }

    // MARK: Units

    /// Which units a localized edit touched, by layer.
    var units: [Block] {
        guard let data = source.evidence[.units]?.data else { return [] }
        var blocks: [Block] = []
        if let touched = data["parameters"]?["touched"]?.doubleValue,
            let total = data["parameters"]?["total"]?.doubleValue, total > 0
        {
            blocks.append(
                .paragraph(
                    "\(Text.fixed(touched, 0)) of \(Text.fixed(total, 0)) parameters were touched, \(Text.figure(touched / total * 100)) %; every other one is as it was, bit by bit."
                ))
        }
        for sort in ["neurons", "heads"] {
            guard let layers = data[sort]?["layers"]?.arrayValue, !layers.isEmpty,
                let width = data[sort]?["width"]?.integerValue, width > 0
            else { continue }
            blocks.append(.chart(Self.picture(sort, layers, width: Int(width))))
        }
        return blocks
    }

    /// Units in at most 64 cells a layer; a cell holds how many of its units were edited.
    private static func picture(_ sort: String, _ layers: [JSONValue], width: Int) -> Chart {
        let cells = min(64, width)
        let perCell = (width + cells - 1) / cells
        var total = 0
        let rows = layers.map { layer in
            var counts = [Double](repeating: 0, count: (width + perCell - 1) / perCell)
            for unit in layer["units"]?.arrayValue ?? [] {
                guard let unit = unit.integerValue, (0..<Int64(width)).contains(unit) else { continue }
                counts[Int(unit) / perCell] += 1
                total += 1
            }
            return (name: "layer \(layer["layer"]?.integerValue ?? 0)", cells: counts)
        }
        let cell =
            perCell == 1
            ? "a cell is one of the \(width) \(sort)" : "a cell is \(perCell) of the \(width) \(sort)"
        return Chart(
            title: "Edited \(sort) by layer",
            summary: "\(total) of \(width * layers.count) \(sort) were edited.",
            content: .heat(Chart.Heat(rows: rows, x: "\(cell) of a layer", unit: "edited")))
    }

    // MARK: Weights

    /// The tensors that moved most.
    var changedWeights: [Block] {
        guard let data = source.evidence[.diff]?.data, let tensors = data["tensors"]?.arrayValue else {
            return []
        }
        var blocks: [Block] = []
        let (changed, total) = (data["changed"]?.integerValue ?? 0, data["total"]?.integerValue ?? 0)
        var text = "\(changed) of \(total) tensors differ from the snapshot"
        if let moved = data["changed_elements"]?.doubleValue, let all = data["elements"]?.doubleValue, all > 0
        {
            text +=
                "; \(Text.fixed(moved, 0)) of \(Text.fixed(all, 0)) numbers do, \(Text.figure(moved / all * 100)) %"
        }
        blocks.append(.paragraph(text + ". Every other tensor has the same bytes."))
        let moved = tensors.filter { $0["changed"]?.boolValue != false }
        var table = ReportTable(
            moved.count > 12
                ? "The twelve that moved most, relative to their size."
                : "Relative to their size, the most moved first.",
            ["Tensor", "Norm of the change", "Relative", "Largest", "Changed numbers"],
            numbers: [1, 2, 3, 4], codes: [0])
        for tensor in moved.prefix(12) {
            table.rows.append([
                tensor["tensor"]?.stringValue ?? "", Text.figure(tensor["l2"]?.doubleValue),
                Text.figure(tensor["relative_l2"]?.doubleValue), Text.figure(tensor["max_abs"]?.doubleValue),
                tensor["changed_fraction"]?.doubleValue.map { "\(Text.figure($0 * 100)) %" } ?? "–",
            ])
        }
        if !table.rows.isEmpty { blocks.append(.table(table)) }
        return blocks
    }

    // MARK: Environment

    /// Software, kernels and memory.
    var made: [Block] {
        guard let data = source.evidence[.environment]?.data else { return [] }
        var facts: [(name: String, value: String)] = []
        func fact(_ name: String, _ value: String?) { if let value { facts.append((name, value)) } }
        fact("software", data["software"]?.stringValue.map { "unlearnd \($0)" })
        fact("kernels", data["kernels"]?.stringValue)
        fact("OpenBLAS", data["core_type"]?.stringValue.map { "\($0) (\(data["blas"]?.stringValue ?? ""))" })
        fact("threads", data["threads"]?.integerValue.map { "\($0)" })
        fact("peak memory", data["peak_memory"]?.integerValue.map { Text.bytes($0) })
        for member in data["seconds"]?.objectValue?.members ?? [] {
            fact("time of \(member.key)", member.value.doubleValue.map { Text.duration($0) })
        }
        fact("seed", "\(job.spec.seed ?? 0)")
        if job.version != nil {
            facts.append(
                (
                    "repeatable",
                    "the same version, specification and seed give the same bytes on these kernels"
                ))
        }
        return [.facts(facts)]
    }
}
