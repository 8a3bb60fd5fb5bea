// SPDX-License-Identifier: Apache-2.0

import Client
import Protocol

/// A purge in words.
enum PurgeText {
    /// Shows what was or would be destroyed.
    static func show(_ raw: JSONValue, _ output: Output) throws(ClientError) {
        if output.isJSON { return output.json(raw) }
        let result = try Connection.decode(PurgeResult.self, raw)
        if output.isQuiet {
            for version in result.versions { output.data("\(version.version)") }
            for set in result.datasets { output.data(set.dataset.hex) }
            return
        }
        var table = Table([result.dryRun ? "WOULD BE PURGED" : "PURGED", "DIGEST", "WHY"])
        for version in result.versions {
            table.add(["\(version.version)", version.digest.short, words(version.cause)])
        }
        for set in result.datasets {
            table.add(["dataset", set.dataset.short, words(set, result)])
        }
        if !result.jobs.isEmpty {
            let jobs = result.jobs.map(String.init).joined(separator: ", ")
            table.add(["texts", "", "of \(result.jobs.count == 1 ? "job" : "jobs") \(jobs)"])
        }
        for job in result.checkpoints { table.add(["training checkpoint", "", "of job \(job)"]) }
        for copy in result.publications ?? [] {
            table.add([
                "\(copy.version) in \(copy.target)", "",
                result.dryRun || copy.removed
                    ? "published copy" : "published copy that cannot be reached yet: see the daemon's log",
            ])
        }
        output.table(table)
        for export in result.exports {
            output.data(
                "outside our control: \(export.version), exported by job \(export.job)\(export.time.map { " on \($0)" } ?? "")"
            )
        }
        for target in result.backups ?? [] {
            output.data(
                "may be in backups: target \(target), until the next unlearnctl store backup \(target)")
        }
        for obstacle in result.obstacles {
            output.data("in the way: \(obstacle.message); \(obstacle.hint)")
        }
        if let objects = result.objects {
            output.data(
                "\(Text.count(objects, "object")), \(Text.bytes(result.bytes ?? 0)), removed: \(result.erasure)"
            )
        } else {
            output.data("this would be a \(result.erasure)")
        }
        for words in result.destroyed ?? [] { output.data("destroyed: \(Text.safe(words))") }
        for words in result.remaining ?? [] { output.data("not destroyed: \(Text.safe(words))") }
        if let pending = result.pending, pending > 0 {
            output.data(
                "\(Text.count(pending, "object")) may be in use by running jobs and will be looked at when they have ended"
            )
        }
    }

    private static func words(_ set: PurgedDataset, _ result: PurgeResult) -> String {
        if result.job == nil { return "named" }
        let isForgetSet = result.forget.map { $0 == set.dataset } ?? (set.rows == 0)
        return isForgetSet ? "the forget set" : "has \(Text.count(set.rows, "row")) of it"
    }

    private static func words(_ cause: PurgedVersion.Cause) -> String {
        switch cause {
        case .named: "named"
        case .learned: "learned it"
        case .derived: "made from one that knows"
        case .candidate: "candidate made from one that knows"
        case .identical: "the same bytes as one that knows"
        }
    }
}
