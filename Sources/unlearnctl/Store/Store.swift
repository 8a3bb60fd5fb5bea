// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `store …`.
struct Store: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store", abstract: "Look after the store of versions and datasets.",
        subcommands: [
            StoreStatusCommand.self, StoreVerify.self, StoreCollect.self, StoreOptimize.self,
            StoreBackup.self,
            StoreBackups.self, StoreRestore.self,
        ])
}

/// `store status`.
struct StoreStatusCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show what the store holds.")
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let raw = try session.call(.storeStatus)
        if session.output.isJSON { return session.output.json(raw) }
        let status = try Connection.decode(StoreStatus.self, raw)
        let saved =
            status.rawBytes > 0
            ? " (\(Text.fixed(Double(status.storedBytes) / Double(status.rawBytes) * 100, 0)) %)" : ""
        session.output.raw(
            """
            models    \(status.models), \(Text.count(status.versions, "version")), \(Text.count(status.datasets, "dataset"))
            objects   \(status.objects)
            raw       \(Text.bytes(status.rawBytes))
            stored    \(Text.bytes(status.storedBytes))\(saved)
            deltas    \(Text.count(status.deltaObjects, "object")), \(Text.bytes(status.deltaSavedBytes)) saved
            garbage   \(Text.count(status.garbageObjects, "object")), \(Text.bytes(status.garbageBytes))
            free      \(Text.bytes(status.freeBytes))

            """)
    }
}

/// `store verify`.
struct StoreVerify: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Read every object of every version and hold it against its hash.",
        discussion: "Ends with status 74 if anything is missing or damaged.")
    @Flag(help: "Check presence, sizes and headers only.") var quick = false
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        var parameters = JobParameters()
        if quick { parameters.quick = true }
        let job = try session.perform(JobSpec(kind: .verify, parameters: parameters)).job
        let result = job.result ?? .null
        let isValid = result["valid"]?.boolValue == true
        let output = session.output
        if output.isJSON {
            output.json(result)
        } else {
            for list in ["corrupt", "missing"] {
                for entry in result[list]?.arrayValue ?? [] {
                    output.data("\(list): \(Text.safe(entry.stringValue ?? entry.serializedString()))")
                }
            }
            let amount =
                "\(result["objects"]?.integerValue ?? 0) objects, \(Text.bytes(result["bytes"]?.integerValue ?? 0))"
            if isValid, !output.isQuiet { output.data("the store is whole: \(amount)") }
        }
        guard isValid else {
            throw ClientError(
                .storage, "the store is damaged",
                hint: "bring them back from a backup: unlearnctl store restore TARGET")
        }
    }
}

/// `store gc`.
struct StoreCollect: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "gc", abstract: "Remove objects that no version uses.",
        discussion: """
            Candidates whose time is over are given up first: those that are neither among the newest of their model \
            (candidate_depth) nor young (candidate_days). Heads, versions that others were made from and versions that a job \
            needs are never given up.
            """)
    @Flag(name: .customLong("dry-run"), help: "Only tell what would be removed.") var dryRun = false
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let raw = try session.call(.storeGC, StoreGCParams(dryRun: dryRun ? true : nil))
        if session.output.isJSON { return session.output.json(raw) }
        let result = try Connection.decode(StoreGCResult.self, raw)
        for version in result.expired {
            session.output.data("\(version): a candidate whose time is over")
        }
        let verb = result.dryRun ? "would be removed" : result.objects == 1 ? "was removed" : "were removed"
        session.output.data("\(Text.count(result.objects, "object")), \(Text.bytes(result.bytes)), \(verb)")
    }
}
