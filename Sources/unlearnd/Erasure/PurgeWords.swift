// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Says in words what a purge destroyed and what it did not. Written anew whenever a purge is told of: a later backup
/// takes out what an earlier one still had.
enum PurgeWords {
    /// Fills in the words.
    ///
    /// - Parameter isRewritten: Whether the database was written anew after the purge.
    static func fill(_ result: inout PurgeResult, isRewritten: Bool) {
        let isErased = result.erasure == PurgeResult.cryptographicErasure
        let isDone = !result.dryRun && result.objects != nil
        result.destroyed = isDone ? destroyed(result, isRewritten) : []
        result.remaining = remaining(result, isErased)
        if isDone, !isRewritten, !result.jobs.isEmpty {
            result.remaining =
                (result.remaining ?? []) + [
                    "what pages of the database hold of the old texts, until there is room to write it anew"
                ]
        }
    }

    private static func destroyed(_ result: PurgeResult, _ isRewritten: Bool) -> [String] {
        var words: [String] = []
        if let keys = result.keys {
            words.append(
                "\(count(keys.destroyed, "key")): the key ring was written without them as number \(keys.ring), and the ring before it overwritten where it lay and unlinked"
            )
        }
        words.append(
            "\(count(result.objects ?? 0, "object")) of \(result.bytes ?? 0) bytes in all, with those of \(count(result.versions.count, "version")) and \(count(result.datasets.count, "dataset")) among them: their files were unlinked"
        )
        if !result.jobs.isEmpty, isRewritten {
            words.append(
                "the texts of \(count(result.jobs.count, "job")): the database was written anew over its old pages and its log emptied"
            )
        }
        if !result.checkpoints.isEmpty {
            words.append("\(count(result.checkpoints.count, "training checkpoint")): the files were unlinked")
        }
        let copies = (result.publications ?? []).count { $0.removed }
        if copies > 0 {
            words.append("\(count(copies, "published copy", "published copies")): the files were unlinked")
        }
        return words
    }

    private static func remaining(_ result: PurgeResult, _ isErased: Bool) -> [String] {
        var words = ["the SHA-256 of what was purged, by which it is refused if it comes back"]
        if isErased {
            words.append(
                "what the disk keeps of the unlinked objects: encrypted, with keys that are destroyed")
            words.append(
                "what the disk keeps of older key rings, as snapshots, copy-on-write file systems and flash memory do: readable with the master key\(result.keys.map { " \($0.masterKey)" } ?? "") until unlearnd rekey has replaced it and it is destroyed"
            )
            words.append(
                "what the disk keeps of freed pages of the database, which is not encrypted: notes, messages, samples and logs of jobs"
            )
            if !result.checkpoints.isEmpty {
                words.append(
                    "what the disk keeps of the unlinked training checkpoints, which are not encrypted")
            }
            if let keys = result.keys, keys.kept > 0 {
                words.append(
                    "\(count(keys.kept, "key")) of single files that other versions or datasets need")
            }
        } else {
            words.append(
                "what the disk keeps of unlinked files and of freed pages of the database, until it is used again"
            )
        }
        if !result.exports.isEmpty {
            words.append(
                "\(count(result.exports.count, "exported copy", "exported copies")), outside our control")
        }
        let published = (result.publications ?? []).count { !$0.removed }
        if published > 0, !result.dryRun {
            words.append(
                "\(count(published, "published copy", "published copies")), whose targets could not be reached yet"
            )
        }
        if let targets = result.backups, !targets.isEmpty {
            words.append("the backups in \(targets.joined(separator: ", ")), until the next backup to each")
        }
        if let pending = result.pending, pending > 0 {
            words.append("\(count(pending, "object")) that running jobs may use, until these have ended")
        }
        return words
    }

    private static func count(_ number: Int, _ one: String, _ several: String? = nil) -> String {
        "\(number) \(number == 1 ? one : several ?? one + "s")"
    }
}
