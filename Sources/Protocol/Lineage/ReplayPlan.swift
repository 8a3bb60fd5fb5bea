// SPDX-License-Identifier: Apache-2.0

/// How an exact job makes the model that never saw some rows: from which version it starts, and what is done again.
package struct ReplayPlan: Hashable, Sendable {
    /// A recorded job behind the start.
    package struct Step: Hashable, Sendable {
        package var recorded: LineageStep
        /// Whether it is done again; a job that nothing is left of for is left out.
        package var isRepeated: Bool
        /// Rows that it used and will not use.
        package var rowsLeftOut: Int
    }

    /// Where it starts; `nil` if the first step starts afresh, in the form of its `form`.
    package var start: LineageStep?
    package var steps: [Step]
    /// What the result cannot claim.
    package var notes: [String]

    /// The jobs that are done again.
    package var repeated: [LineageStep] { steps.lazy.filter(\.isRepeated).map(\.recorded) }

    /// The methods that need no lineage.
    private static let approximate =
        "use an approximate method, such as npo, simnpo or graddiff, or submit retrain with the data to keep"

    /// Makes the plan.
    ///
    /// - Parameters:
    ///   - lineage: The version's ancestry, oldest first.
    ///   - rows: The rows of a dataset; `nil` if its text is gone.
    /// - Throws: ``JobFailure`` that says why there is no such model, or none that can be made.
    package init(
        lineage: [LineageStep], forgetting forget: [DatasetRow],
        rows: (Digest) throws -> [DatasetRow]?
    ) throws {
        guard let root = lineage.first, let head = lineage.last else {
            throw JobFailure(.missing, "the version has no recorded lineage", hint: Self.approximate)
        }
        let forgotten = Set(forget.map(RowText.init))
        var known: [Digest: [RowText]] = [:]
        func texts(_ step: LineageStep, _ id: Digest) throws -> [RowText] {
            if let texts = known[id] { return texts }
            guard let rows = try rows(id) else {
                throw JobFailure(
                    .missing,
                    "job \(step.job) (\(step.spec.kind.rawValue)), which made \(step.model)@\(step.version), was trained on the dataset \(id.short), whose text is gone: whether it used the rows cannot be known, and it cannot be repeated",
                    hint: Self.approximate)
            }
            let texts = rows.map(RowText.init)
            known[id] = texts
            return texts
        }
        /// What a job used that is to be forgotten, by dataset.
        func used(_ step: LineageStep, _ id: Digest) throws -> (rows: Int, left: Int) {
            let excluded = try step.excluding.reduce(into: Set<RowText>()) {
                $0.formUnion(try texts(step, $1))
            }
            let own = try texts(step, id).filter { !excluded.contains($0) }
            let rows = own.lazy.filter(forgotten.contains).count
            return (rows, own.count - rows)
        }

        let firstUse = try lineage.firstIndex { step in
            try step.spec.trainedOn.contains { try used(step, $0).rows > 0 }
        }
        let isOurs = root.spec.kind != .import
        let origin = "\(root.model)@\(root.version)"
        guard let first = firstUse else {
            throw isOurs
                ? JobFailure(
                    .noOp,
                    "no recorded job that \(head.model)@\(head.version) comes from used any of these rows, and \(origin) was made here: the model never saw them",
                    hint: "nothing has to be done; if it seems to know them, other rows say the same")
                : JobFailure(
                    .badInput,
                    "no recorded job used any of these rows; \(origin) was imported, so it may know them: its lineage before \(root.version) is unknown",
                    hint: Self.approximate)
        }
        notes = []
        if !isOurs {
            notes.append(
                "\(origin) was imported: whether it knows the rows is not recorded. The result is exact for everything since"
            )
        }
        let begin = lineage[..<first].lastIndex { $0.made != nil }
        start = begin.map { lineage[$0] }
        let rest = lineage[(begin.map { $0 + 1 } ?? 0)...]
        if begin == nil, root.form == nil || root.spec.kind != .retrain {
            throw JobFailure(
                .missing,
                "no version from before job \(lineage[first].job), which first used the rows, is left: the oldest is gone",
                hint: Self.approximate)
        }
        steps = []
        for step in rest {
            let kind = step.spec.kind
            guard kind.isRepeatable else {
                throw JobFailure(
                    .unsupported,
                    "job \(step.job) is a \(kind.rawValue), which made \(step.model)@\(step.version) and cannot be repeated yet",
                    hint: Self.approximate)
            }
            if step.spec.sharesGradients, let ranks = step.spec.parameters?.ranks, ranks > 1 {
                throw JobFailure(
                    .unsupported,
                    "job \(step.job), which made \(step.model)@\(step.version), was trained on \(ranks) ranks, whose order of sums cannot be repeated in one process yet",
                    hint: Self.approximate)
            }
            var rowsLeftOut = 0
            var isRepeated = true
            for id in step.spec.trainedOn {
                let (rows, left) = try used(step, id)
                rowsLeftOut += rows
                if left > 0 { continue }
                if kind.trainsOnForgetSet, id != step.spec.forget {
                    throw JobFailure(
                        .unsupported,
                        "job \(step.job) (\(kind.rawValue)) would have no retain rows left: how it would have been run without them is not known",
                        hint: Self.approximate)
                }
                isRepeated = false
            }
            steps.append(Step(recorded: step, isRepeated: isRepeated, rowsLeftOut: rowsLeftOut))
        }
        guard start != nil || steps.contains(where: \.isRepeated) else {
            throw JobFailure(
                .badInput,
                "nothing is left of the training of \(head.model)@\(head.version) without these rows",
                hint: "there is no such model to make")
        }
    }

    /// The plan in sentences.
    package var words: [String] {
        let from = start.map { "\($0.model)@\($0.version)" } ?? "fresh weights"
        let jobs = repeated.count
        var words = [
            "It goes back to \(from) and repeats \(jobs) job\(jobs == 1 ? "" : "s") without the rows."
        ]
        for step in steps {
            let what =
                "job \(step.recorded.job) (\(step.recorded.spec.kind.rawValue), \(step.recorded.model)@\(step.recorded.version))"
            words.append(
                step.isRepeated
                    ? "\(what): \(step.rowsLeftOut == 0 ? "as it was" : "without \(step.rowsLeftOut) of its rows")"
                    : "\(what): left out, nothing of its rows remains")
        }
        return words + notes
    }
}
