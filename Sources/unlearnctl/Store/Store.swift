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
            verified  \(VerificationText.state(status.verification))
            encrypted \(Self.words(status.encryption))

            """)
    }
}

extension StoreStatusCommand {
    private static func words(_ encryption: StoreEncryption?) -> String {
        guard let encryption else { return "no" }
        return
            "\(Text.safe(encryption.cipher)), master key \(Text.safe(encryption.masterKey)), key ring \(encryption.ring) with \(Text.count(encryption.versionKeys, "key")) of writers and \(Text.count(encryption.fileKeys, "key")) of single files"
    }
}

/// `store gc`.
struct StoreCollect: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "gc", abstract: "Remove objects that no version uses.",
        discussion: """
            Versions whose time is over are given up first: candidates that are neither among the newest of their model \
            (candidate_depth) nor young (candidate_days), and, where expire_pre_edit_days says so, versions that an accepted \
            unlearning job has replaced. Heads and versions that are held, tagged or needed by a job are never given up.
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
        for version in result.expiredPreEdit {
            session.output.data("\(version): replaced by an accepted job, and its time is over")
        }
        let verb = result.dryRun ? "would be removed" : result.objects == 1 ? "was removed" : "were removed"
        session.output.data("\(Text.count(result.objects, "object")), \(Text.bytes(result.bytes)), \(verb)")
    }
}
