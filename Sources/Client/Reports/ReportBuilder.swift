// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Makes the report of a job from what is known of it: the outcome first, then what was asked and measured, then how
/// it was done, and what none of it can show.
package struct ReportBuilder {
    package typealias Block = ReportDocument.Block

    package let source: ReportSource

    /// The report of `source`.
    package init(source: ReportSource) { self.source = source }

    var job: Job { source.job }

    /// The report.
    package var document: ReportDocument {
        let model = job.model?.text ?? "the store"
        var report = ReportDocument(
            title: "Report on job \(job.id): \(job.kind.rawValue) of \(model)",
            subtitle: "unlearnd \(softwareVersion), \(times)")
        report.add("outcome", "Outcome", outcome)
        report.add("gate", "Gate", gate)
        report.add("sweep", "Sweep", sweep)
        report.add("asked", "Asked", asked)
        report.add("versions", "Versions", versions)
        report.add("measured", "Measured", measured)
        report.add("samples", "What the model says", samples)
        report.add("membership", "Membership inference", membership)
        report.add("attacks", "Attacks", attacks)
        report.add("earlier", "Earlier requests", earlier)
        report.add("units", "Edited units", units)
        report.add("training", "Training", training)
        report.add("changed", "Changed weights", changedWeights)
        report.add("made", "How it was made", made)
        report.add("warnings", "Warnings", job.warnings.isEmpty ? [] : [.list(job.warnings)])
        report.add("limits", "Limits", limits.isEmpty ? [] : [.list(limits)])
        return report
    }

    // MARK: Outcome

    private var times: String {
        let end = job.finished.map { "ended \($0)" } ?? "not ended yet"
        return "submitted \(job.created), \(end)"
    }

    private var softwareVersion: String {
        source.evidence[.environment]?.data?["software"]?.stringValue ?? Software.version
    }

    private var outcome: [Block] {
        var blocks: [Block] = [.verdict(verdict.0, verdict.1)]
        if let words = inWords { blocks.append(.paragraph(words)) }
        if let error = job.error {
            blocks.append(.paragraph("\(error.message) (\(error.kind.rawValue))"))
            if let hint = error.hint { blocks.append(.note(hint)) }
        }
        if job.state.isTerminal {
            blocks.append(.note(JobConsequence.text(job, versions: source.versions)))
        }
        return blocks
    }

    private var verdict: (ReportDocument.Verdict, String) {
        let name = job.version.map { "\(job.model?.text ?? "")@\($0)" } ?? job.model?.text ?? "The store"
        switch job.state {
        case .succeeded: break
        case .failed: return (.bad, "The job failed. Nothing was changed.")
        case .cancelled, .lost: return (.bad, "The job ended as \(job.state.rawValue). Nothing was changed.")
        default: return (.open, "The job has not ended yet: it is \(job.state.rawValue).")
        }
        guard job.kind.writesVersion else { return (.good, "The job is done. Nothing was changed.") }
        if source.result?.gone == true {
            return (.open, "The job made \(name), whose bytes are gone.")
        }
        if job.gate?.passed == false {
            if source.result?.head == true {
                return (
                    .bad,
                    "The result does not meet its gate; \(name) was promoted all the same and is the head."
                )
            }
            return (.bad, "The result does not meet its gate: \(name) is a candidate and is not in use.")
        }
        let met = job.gate == nil ? "Nothing was required of the result" : "The result meets its gate"
        if job.headMoved == true {
            let use =
                source.result?.head == true
                ? "it is in use: \(name) is the model's head."
                : "it was put in use as \(name); another version is the head now."
            return (job.gate == nil && job.kind.unlearns ? .open : .good, "\(met), and \(use)")
        }
        if source.result?.head == true { return (.good, "\(met), and \(name) is the model's head now.") }
        return (.open, "\(met); \(name) is a candidate and is not in use.")
    }

    /// What the figures say, for a reader who does not know them.
    private var inWords: String? {
        guard let after = job.evaluation?.after else { return nil }
        func percent(_ value: Double) -> String { "\(Text.fixed(value * 100, 1)) %" }
        let thing = after.accuracy == .token ? "tokens" : "rows"
        var sentences: [String] = []
        func change(_ set: String, _ value: (EvaluationFigures) -> Double?) {
            guard let now = value(after) else { return }
            var text = "Of the \(set) set's \(thing) the model now gets \(percent(now)) right"
            if let before = job.evaluation?.before.flatMap(value) { text += ", before \(percent(before))" }
            if let goal = job.evaluation?.reference.flatMap(value) {
                text += "; a version that was trained without the forgotten rows gets \(percent(goal))"
            }
            sentences.append(text + ".")
        }
        change("forget") { $0.forgetAccuracy }
        change("retain") { $0.retainAccuracy }
        if let auc = after.membershipInferenceAUC {
            sentences.append(
                "Told a forgotten row and a row never seen, an attacker who looks at the loss names the forgotten one with probability \(Text.fixed(auc, 2)) (0.50 is guessing)."
            )
        }
        return sentences.isEmpty ? nil : sentences.joined(separator: " ")
    }

    // MARK: Asked

    private var asked: [Block] {
        let spec = job.spec
        var facts: [(name: String, value: String)] = [("method", job.kind.rawValue)]
        if let model = spec.model { facts.append(("model", "\(model)")) }
        if let note = job.note { facts.append(("note", note)) }
        for (name, set) in [
            ("forget set", spec.forget), ("retain set", spec.retain), ("holdout set", spec.holdout),
        ] {
            guard let set else { continue }
            let rows =
                source.datasets[set].map { "\(Text.count($0.rows, "row")), \(Text.bytes($0.bytes)), " }
                ?? "no longer stored, "
            facts.append((name, rows + "SHA-256 \(set.hex)"))
        }
        if let need = spec.need { facts.append(("need", need.rawValue)) }
        if let reference = spec.reference { facts.append(("reference", "\(reference)")) }
        if let attacks = spec.attacks, !attacks.isEmpty {
            facts.append(("attacks", attacks.map(\.rawValue).joined(separator: ", ")))
        }
        if let gate = spec.gate { facts.append(("gate", gate)) }
        if let lease = spec.reviewLease {
            facts.append(("review lease", lease > 0 ? Text.duration(lease) : "none"))
        }
        if let members = source.raw["spec"]?["parameters"]?.objectValue?.members {
            let text = members.filter { !$0.value.isNull }.map {
                "\($0.key) = \($0.value.stringValue ?? $0.value.serializedString())"
            }
            if !text.isEmpty { facts.append(("parameters", text.joined(separator: ", "))) }
        }
        if let seed = spec.seed { facts.append(("seed", "\(seed)")) }
        if !job.labels.isEmpty {
            let labels = job.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            facts.append(("labels", labels.joined(separator: ", ")))
        }
        facts.append(("submitted", "\(job.created) by user \(job.submitter)"))
        if let started = job.started {
            var text = "\(started), attempt \(job.attempt)"
            if let finished = job.finished {
                text += ", took \(Text.duration(Double(finished.milliseconds - started.milliseconds) / 1000))"
            }
            facts.append(("started", text))
        }
        let purpose = spec.need.map { Block.paragraph($0.profile.purpose) }
        return [purpose, .facts(facts)].compactMap(\.self)
    }

    private var versions: [Block] {
        var table = ReportTable(
            "Each version is named by the SHA-256 over its files.",
            ["Role", "Version", "Digest", "Size", "Now"], numbers: [3], codes: [2])
        for (role, version) in [("snapshot before the edit", source.base), ("result", source.result)] {
            guard let version else { continue }
            table.rows.append([
                role, version.version.description, version.digest.hex, Text.bytes(version.bytes),
                version.head ? "head" : version.gone ? "gone" : version.candidate ? "candidate" : "kept",
            ])
        }
        return table.rows.isEmpty ? [] : [.table(table)]
    }

    // MARK: Limits

    /// What the report does not show, in plain words.
    package var limits: [String] {
        // What the worker saw in the figures themselves comes first.
        let measured = source.raw["evaluation"]?["limits"]?.arrayValue?.compactMap(\.stringValue) ?? []
        return needs + measured + ReportText.limits(job).filter { !measured.contains($0) }
    }

    /// What the reason for the request says about its limits.
    private var needs: [String] {
        guard let profile = job.spec.need?.profile else { return [] }
        let done = Set(source.evidence[.attack]?.data?.objectValue?.keys ?? [])
        let open = profile.attacks.map(\.rawValue).filter { !done.contains($0) }
        guard !open.isEmpty else { return [profile.caution] }
        return [
            profile.caution,
            "For this need the result should also withstand the attacks \(open.joined(separator: ", ")); they were not run, so nothing is said about them.",
        ]
    }
}
