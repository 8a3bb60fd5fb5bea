// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Checkpoints
import Glibc
import Protocol

extension UnlearnDaemon {
    /// `unlearnd rekey`
    struct Rekey: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Seal the key ring of an encrypted store with another master key, while no daemon runs.",
            discussion: """
                Only the key ring is written anew; no object is. Run it as the daemon's user, with the old key where the \
                configuration has it or as --master-key-file, and name every backup directory of the store. Then put the \
                new key in the old one's place and destroy the old one, wherever it is kept: with it whoever has a copy \
                of an older key ring can read what was purged since. A rekeying that was cut off can be run again.
                """)

        @Option(help: ArgumentHelp("Where the store is.", valueName: "directory")) var stateDirectory: String
        @Option(
            help: ArgumentHelp(
                "The old master key; by default the credential \(MasterKeySource.credential).",
                valueName: "file"
            )) var masterKeyFile: String?
        @Option(help: ArgumentHelp("The new master key.", valueName: "file")) var newMasterKeyFile: String
        @Option(
            help: ArgumentHelp(
                "A backup directory whose key ring is to be sealed anew, too.", valueName: "directory"))
        var backup: [String] = []

        func run() throws {
            umask(0o077)
            do { try rekey() } catch {
                StandardErrorLog.say("unlearnd: \(error)")
                let status: Protocol.ExitCode = error is StartupError ? .configuration : .storage
                throw ArgumentParser.ExitCode(status.rawValue)
            }
        }

        private func rekey() throws {
            for root in [stateDirectory] + backup {
                guard try ObjectStore.isEncrypted(root: root) == true else {
                    throw StartupError(
                        .encryption, "\(root) has no encrypted store", hint: "name another directory")
                }
            }
            // As long as this lives, no daemon starts.
            let directory = try StateDirectory(path: stateDirectory)
            try directory.waitForWorkers(seconds: 10)
            let environment = getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) }
            let old = try MasterKeySource(file: masterKeyFile, credentials: environment)
                .read(besides: directory.path)
            let new = try MasterKeySource(file: newMasterKeyFile).read(besides: directory.path)
            guard new.id != old.id else {
                throw StartupError(
                    .encryption, "the new master key is the old one, \(old.id)",
                    hint: "make another: head -c 32 /dev/urandom > FILE; chmod 600 FILE")
            }
            // The backups first: the daemon's own ring is the one that tells that all is done.
            for root in backup + [directory.path] { try Self.rekey(root, old, new) }
            StandardErrorLog.say(
                "done: put the new master key \(new.id) in the old one's place, and destroy \(old.id)")
        }

        private static func rekey(_ root: String, _ old: MasterKey, _ new: MasterKey) throws {
            do {
                let ring = try KeyRing.open(root: root, master: new, making: false)
                StandardErrorLog.say("\(root): key ring \(ring.generation) has the new master key already")
            } catch let error as CheckpointError where error.code == .locked {
                let ring = try KeyRing.open(root: root, master: old, making: false)
                try ring.rekey(new)
                StandardErrorLog.say("\(root): key ring \(ring.generation) is sealed with \(new.id)")
            }
        }
    }
}
