// SPDX-License-Identifier: Apache-2.0

import Protocol

/// What came of a job, in a sentence.
package enum JobConsequence {
    /// What the job changed, or why it changed nothing.
    /// - Parameter versions: The model's versions as they are now, where that is known: a result may have been promoted,
    ///   rolled back or removed since.
    package static func text(_ job: Job, versions: [VersionSummary] = []) -> String {
        let model = job.model?.text ?? ""
        let base = versions.first { $0.version == job.base }
        let result = versions.first { $0.version == job.version }
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
        if let result, result.gone { return "\(model)@\(version) is gone for good" }
        if job.headMoved == true {
            if let result, !result.head {
                return "\(model)@\(version) was put in use; another version is the head now: "
                    + "unlearnctl model show \(model)"
            }
            if let base, base.gone {
                return "\(model)@\(version) is the head now; \(base.version) is gone for good"
            }
            let before = job.base.map { "; \($0) stays: unlearnctl rollback \(model) --to \($0)" } ?? ""
            return "\(model)@\(version) is the head now\(before)"
        }
        if result?.head == true { return "\(model)@\(version) is the head now: it was promoted since" }
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
}
