// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// A job's report as text.
enum ReportText {
    /// Sections: asked, versions, training, figures, gate, outcome, limits.
    static func text(_ job: Job, _ versions: [VersionSummary], _ output: Output) -> String {
        var text =
            output.styled("Report on job \(job.id)", .bold) + "\n" + JobText.headline(job, output) + "\n"
        func section(_ title: String, _ body: String) {
            if !body.isEmpty { text += "\n" + output.styled(title, .bold) + "\n" + body }
        }
        section("Asked", JobDetail.asked(job))
        section(
            "Versions",
            versions.map { version in
                let role = version.version == job.base ? "base  " : "result"
                let place = version.head ? ", head now" : version.candidate ? ", candidate" : ""
                return
                    "  \(role)  \(version.version)  \(Text.bytes(version.bytes))  digest \(version.digest.hex)\(place)\n"
            }.joined())
        section("Training", (job.training ?? []).map { "  " + ProgressText.epoch($0) + "\n" }.joined())
        if let evaluation = job.evaluation {
            section("Measured", JobText.figures(evaluation, kind: job.kind, output))
        }
        if let gate = job.gate { section("Gate", JobText.verdict(gate, output)) }
        section("Warnings", job.warnings.map { "  \(Text.safe($0))\n" }.joined())
        if let error = job.error {
            section(
                "Failure",
                "  \(Text.safe(error.message))\n" + (error.hint.map { "  \(Text.safe($0))\n" } ?? ""))
        }
        section(
            "Outcome",
            "  " + (job.state.isTerminal ? JobText.consequence(job) : "The job has not ended yet.") + "\n")
        section("Limits", limits(job).map { "  - \($0)\n" }.joined())
        return text
    }

    /// What the report does not show, in plain words.
    static func limits(_ job: Job) -> [String] {
        var limits: [String] = []
        guard job.kind.unlearns || job.kind == .evaluate else { return limits }
        if job.evaluation?.after == nil {
            limits.append("Nothing was measured: this report cannot say what was forgotten or kept.")
        } else {
            limits.append(
                "The figures hold for the rows given, not for every way to ask about the same facts.")
            if job.spec.holdout == nil {
                limits.append("Without a holdout set, leakage by membership inference was not measured.")
            }
            if job.spec.reference == nil {
                limits.append(
                    "Without a reference that never saw the data, nothing tells what accuracy an ignorant model has."
                )
            }
        }
        if job.kind.unlearns {
            if job.gate == nil { limits.append("No gate was set: nothing was required of the result.") }
            limits.append(
                "Forgetting was measured on answers. Further training or quantisation may bring knowledge back."
            )
            limits.append(
                "The versions before stay in the store until they are removed; copies elsewhere are not touched."
            )
        }
        return limits
    }
}
