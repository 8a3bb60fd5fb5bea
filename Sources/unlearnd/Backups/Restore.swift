// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Checkpoints
import Glibc
import Protocol

extension UnlearnDaemon {
    /// `unlearnd restore`
    struct Restore: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a state directory from a backup, while no daemon runs.",
            discussion: """
                The state directory must be empty or not there. Every object and the database are held against their \
                hashes; until the end no daemon starts with the directory, and a restore that was cut off can be run \
                again. Run it as the daemon's user.

                What was purged after the backup was made does not come back: the purges of the newest generation are \
                applied, and those of each state directory named with --purged-from. Where the old state directory can \
                still be read, name it.

                An encrypted backup needs its master key and becomes an encrypted store with a key ring of its own. With \
                --encrypt so does a backup that is not encrypted: the old store and its backups stay as they are, and are \
                yours to destroy.
                """)

        @Option(help: ArgumentHelp("The backup directory.", valueName: "directory")) var from: String
        @Option(help: ArgumentHelp("Which backup; by default the newest.", valueName: "number"))
        var generation: Int?
        @Option(help: ArgumentHelp("Where the store is to be.", valueName: "directory")) var stateDirectory:
            String
        @Option(
            help: ArgumentHelp(
                "A state directory of the same store whose purges count too.", valueName: "directory"))
        var purgedFrom: [String] = []
        @Option(
            help: ArgumentHelp(
                "The master key; by default the credential \(MasterKeySource.credential).", valueName: "file")
        )
        var masterKeyFile: String?
        @Flag(help: "Make an encrypted store of a backup that is not.") var encrypt = false
        @Option(help: ArgumentHelp("Threads; by default one for each processor.", valueName: "number"))
        var threads: Int?

        func run() throws {
            umask(0o077)
            do {
                let restore = OfflineRestore(
                    source: from, generation: generation, stateDirectory: stateDirectory,
                    purgedFrom: purgedFrom, master: try master(), encrypts: encrypt,
                    threads: max(1, threads ?? Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
                ) { StandardErrorLog.say($0) }
                try restore.run()
            } catch {
                StandardErrorLog.say("unlearnd: \(Self.words(error))")
                let status: Protocol.ExitCode = error is StartupError ? .configuration : .storage
                throw ArgumentParser.ExitCode(status.rawValue)
            }
        }

        /// The master key, if one is given.
        private func master() throws -> MasterKey? {
            let credentials = getenv("CREDENTIALS_DIRECTORY").map {
                String(cString: $0) + "/" + MasterKeySource.credential
            }
            guard masterKeyFile != nil || credentials.map({ access($0, F_OK) == 0 }) == true else {
                return nil
            }
            return try MasterKeySource(
                file: masterKeyFile,
                credentials: getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) }
            ).read(besides: stateDirectory)
        }

        private static func words(_ error: any Error) -> String {
            guard let failure = error as? JobFailure else { return "\(error)" }
            return failure.hint.map { "\(failure.message); \($0)" } ?? failure.message
        }
    }
}
