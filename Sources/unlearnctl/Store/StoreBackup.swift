// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `store backup`.
struct StoreBackup: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Bring a backup target up to date.",
        discussion: """
            TARGET is one of backup_targets in the daemon's configuration. A backup is a copy of the database and of every \
            object that live versions and datasets need; only objects that the target lacks are copied, each held against \
            its hash. It takes out of the earlier backups there what was purged since. While it runs nothing can be \
            purged.
            """)
    @Argument(help: "The target's name.") var target: String
    @Flag(help: "Read every object in the target again, and write damaged ones anew.") var full = false
    @Flag(help: "Do not wait for the job.") var detach = false
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let output = session.output
        let raw = try session.call(.storeBackup, StoreBackupParams(target: target, full: full ? true : nil))
        guard let id = try Connection.decode(JobSubmitResult.self, raw).job?.id else {
            throw ClientError(.internalError, "the daemon took the job but named none")
        }
        if detach {
            if output.isJSON { return output.json(raw["job"] ?? .null) }
            return output.data(output.isQuiet ? "\(id)" : "job \(id) backs up to \(target)")
        }
        let result = try session.finish(id, onInterrupt: .detach)
        if output.isJSON { return output.json(result) }
        func number(_ key: String) -> Int64 { result[key]?.integerValue ?? 0 }
        if output.isQuiet { return output.data("\(number("generation"))") }
        output.data(
            "generation \(number("generation")) of \(target): \(Text.count(number("versions"), "version")), "
                + "\(Text.count(number("objects"), "object")), \(Text.bytes(number("bytes")))")
        output.data("copied \(Text.count(number("copied"), "object")), \(Text.bytes(number("copied_bytes")))")
        if number("repaired") > 0 {
            output.data("\(Text.count(number("repaired"), "object")) there were damaged and are whole again")
        }
        if number("removed") > 0 {
            output.data(
                "removed \(Text.count(number("removed"), "object")) there that no backup needs, \(Text.bytes(number("removed_bytes")))"
            )
        }
    }
}

/// `store backups`.
struct StoreBackups: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "backups", abstract: "List the backups in the backup targets.",
        discussion: "Ends with status 74 if a target cannot be used.")
    @Argument(help: "One target's name; all by default.") var target: String?
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let output = session.output
        let raw = try session.call(.storeBackups, StoreBackupsParams(target: target))
        let targets = try Connection.decode([BackupTargetStatus].self, raw)
        if output.isJSON {
            output.json(raw)
        } else if output.isQuiet {
            for target in targets { output.data(target.target) }
        } else {
            var table = Table(
                ["TARGET", "GENERATION", "MADE", "VERSIONS", "DATASETS", "OBJECTS", "SIZE", "THINNED"],
                right: [1, 3, 4, 5, 6])
            for target in targets {
                for one in target.generations {
                    table.add([
                        target.target, "\(one.generation)", "\(one.time)", "\(one.versions)",
                        "\(one.datasets)", "\(one.objects)", Text.bytes(one.bytes),
                        one.thinned.map(\.description) ?? "",
                    ])
                }
            }
            if !table.isEmpty { output.table(table) }
            for target in targets where target.generations.isEmpty && target.fault == nil {
                output.note("\(target.target) has no backup yet: \(Text.safe(target.directory))")
            }
            if targets.isEmpty { output.note("the configuration has no backup_targets") }
        }
        if let target = targets.first(where: { $0.fault != nil }) {
            throw ClientError(
                .storage,
                "the backup target \(target.target) cannot be used: \(Text.safe(target.fault ?? ""))")
        }
    }
}

/// `store restore`.
struct StoreRestore: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Bring back objects that are missing or damaged; for administrators.",
        discussion: """
            Every object that live versions and datasets need is read; what is missing or damaged is taken from the backup \
            target and held against its hash. It adds no versions, and what was purged does not come back. Ends with \
            status 74 if the backup has not all of it either. To make a whole state directory from a backup, stop the \
            daemon and use: unlearnd restore.
            """)
    @Argument(help: "The target's name.") var target: String
    @Flag(name: .customLong("dry-run"), help: "Only tell what would be brought back.") var dryRun = false
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let output = session.output
        let raw = try session.call(
            .storeRestore, StoreRestoreParams(target: target, dryRun: dryRun ? true : nil))
        guard let id = try Connection.decode(JobSubmitResult.self, raw).job?.id else {
            throw ClientError(.internalError, "the daemon took the job but named none")
        }
        let result = try session.finish(id, onInterrupt: .cancel)
        let healed = result["healed"]?.arrayValue ?? []
        let datasets = result["healed_datasets"]?.arrayValue ?? []
        let lost = result["lost"]?.arrayValue ?? []
        if output.isJSON {
            output.json(result)
        } else if output.isQuiet {
            for id in healed + datasets { output.data(Text.safe(id.stringValue ?? "")) }
        } else {
            for id in lost { output.data("lost: \(Text.safe(id.stringValue ?? ""))") }
            let verb =
                dryRun
                ? "would be brought back" : healed.count == 1 ? "was brought back" : "were brought back"
            output.data(
                "\(Text.count(healed.count, "object")) of \(result["objects"]?.integerValue ?? 0), "
                    + "\(Text.bytes(result["healed_bytes"]?.integerValue ?? 0)), \(verb)")
            if !datasets.isEmpty { output.data("and \(Text.count(datasets.count, "dataset list"))") }
        }
        guard lost.isEmpty else {
            throw ClientError(
                .storage,
                "\(Text.count(lost.count, "object")) that the store lacks are not whole in \(target) either",
                hint: "try another target, or import the same checkpoint again")
        }
    }
}

extension Session {
    /// Waits for a job and gives what it brought.
    /// - Throws: ``ClientError`` for anything but success.
    fileprivate func finish(_ id: JobID, onInterrupt: JobWaiter.Interruption) throws(ClientError) -> JSONValue
    {
        guard let raw = try JobWaiter(self, [id], onInterrupt: onInterrupt).wait().first else {
            throw ClientError(.internalError, "job \(id) did not end")
        }
        let job = try Connection.decode(Job.self, raw)
        if let failure = JobExit.failure(of: job) { throw failure }
        return job.result ?? .null
    }
}
