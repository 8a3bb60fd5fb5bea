// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// All of a job for people.
enum JobDetail {
    /// What was asked, then what came of it.
    /// - Parameter versions: The model's versions as they are now, where that is known.
    static func text(_ job: Job, versions: [VersionSummary], _ output: Output) -> String {
        var text = JobText.headline(job, output) + "\n\n" + asked(job)
        if let progress = job.progress, !job.state.isTerminal {
            text += "\n" + ProgressText.line(progress) + "\n"
        }
        if let training = job.training, !training.isEmpty {
            text += "\n" + training.map { ProgressText.epoch($0) + "\n" }.joined()
        }
        if let evaluation = job.evaluation {
            text += "\n" + JobText.figures(evaluation, kind: job.kind, output)
        }
        text += AttackText.text(job, output) + EarlierText.text(job)
        if let gate = job.gate { text += "\n" + JobText.verdict(gate, output) }
        for warning in job.warnings { text += "\nwarning: \(Text.safe(warning))\n" }
        if let error = job.error {
            text +=
                "\n\(output.styled("failed", .red)) (\(Text.safe(error.kind.rawValue))): \(Text.safe(error.message))\n"
            if let hint = error.hint { text += "  \(Text.safe(hint))\n" }
        }
        if job.state.isTerminal { text += "\n" + JobConsequence.text(job, versions: versions) + "\n" }
        return text
    }

    /// What was asked, a line each.
    static func asked(_ spec: JobSpec) -> String { lines(request(spec)) }

    private static func request(_ spec: JobSpec) -> [(String, String)] {
        var lines: [(String, String)] = []
        if let model = spec.model { lines.append(("model", "\(model)")) }
        for (name, set) in [("forget", spec.forget), ("retain", spec.retain), ("holdout", spec.holdout)] {
            if let set { lines.append((name, "dataset \(set.short)…")) }
        }
        for set in spec.utility ?? [] { lines.append((set.name, "dataset \(set.dataset.short)…")) }
        if let reference = spec.reference { lines.append(("reference", "\(reference)")) }
        if let need = spec.need { lines.append(("need", need.rawValue)) }
        if let attacks = spec.attacks, !attacks.isEmpty {
            lines.append(("attacks", attacks.map(\.rawValue).joined(separator: ", ")))
        }
        if let gate = spec.gate { lines.append(("gate", gate)) }
        if let lease = spec.reviewLease {
            lines.append(("lease", lease > 0 ? Text.duration(lease) : "none"))
        }
        if let parameters = spec.parameters, let value = try? JSONValue(encoding: parameters),
            let object = value.objectValue
        {
            let shown = object.members.map {
                "\($0.key)=\($0.value.stringValue.map { String($0.prefix(60)) } ?? $0.value.serializedString())"
            }
            lines.append(("parameters", shown.joined(separator: " ")))
        }
        if let seed = spec.seed { lines.append(("seed", "\(seed)")) }
        return lines
    }

    /// What was asked and when, a line each.
    private static func asked(_ job: Job) -> String {
        var lines = request(job.spec)
        if !job.after.isEmpty {
            lines.append(
                ("after", job.after.map { "\($0.job):\($0.condition.rawValue)" }.joined(separator: ", ")))
        }
        if job.priority != 0 { lines.append(("priority", "\(job.priority)")) }
        if !job.labels.isEmpty {
            lines.append(
                (
                    "labels",
                    job.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(
                        separator: " ")
                ))
        }
        if let note = job.note { lines.append(("note", note)) }
        lines.append(("submitted", "\(Text.relative(job.created)) by user \(job.submitter)"))
        if let at = job.at, !job.state.isTerminal {
            lines.append(("not before", "\(at) (\(Text.relative(at)))"))
        }
        if let deadline = job.deadline {
            lines.append(("deadline", "\(deadline) (\(Text.relative(deadline)))"))
        }
        if let group = job.group { lines.append(("group", group)) }
        if let retries = job.spec.retries, retries > 0 {
            let next = job.retryAt.map { ", again \(Text.relative($0))" } ?? ""
            lines.append(("retries", "\(job.retried ?? 0) of \(retries)\(next)"))
        }
        if let started = job.started {
            lines.append(("started", "\(Text.relative(started)), attempt \(job.attempt)"))
        }
        if let placement = job.placement {
            lines.append((placement.launcher.rawValue, words(placement, job.state)))
        }
        if let checkpoint = job.checkpoint {
            lines.append(
                (
                    "checkpoint",
                    "step \(checkpoint.step) of \(checkpoint.total), \(Text.bytes(checkpoint.bytes)), "
                        + Text.relative(checkpoint.time)
                ))
        }
        if let finished = job.finished { lines.append(("ended", Text.relative(finished))) }
        if let digest = job.digest { lines.append(("digest", digest.hex)) }
        return Self.lines(lines)
    }

    private static func words(_ placement: JobPlacement, _ state: JobState) -> String {
        "job \(placement.id)" + (state.isActive ? " \(placement.state)" : "")
            + (placement.nodes.map { " on \($0)" } ?? "") + (placement.reason.map { ", \($0)" } ?? "")
    }

    private static func lines(_ lines: [(String, String)]) -> String {
        lines.map {
            "  \($0)\(String(repeating: " ", count: max(1, 12 - $0.count)))\(Text.safe($1))\n"
        }.joined()
    }
}
