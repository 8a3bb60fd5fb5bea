// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `purge`.
struct Purge: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "purge", abstract: "Destroy everything that still knows what a job was to forget.",
        discussion: """
            In all models: the versions that were trained on any of the rows (or, where no training is recorded, the line \
            from its beginning), what was made from those, the datasets that have any of the rows, and the texts of all jobs \
            that read them. What was exported is listed, and is yours to chase. Versions that an accepted job made to \
            forget the rows stay. Refused while a head, a held version or an unfinished job is among it. For administrators.

            Of an encrypted store this is a cryptographic erasure: the keys of all that goes are destroyed, so that no copy \
            of its files that a disk or a snapshot keeps can be read. Otherwise it is a logical deletion: files are \
            unlinked, the database is written anew over its old pages; the disk may keep the old blocks until it reuses \
            them. What was and what was not destroyed is told, and stands in the certificate.
            """)
    @Option(
        help: ArgumentHelp("The unlearning job.", valueName: "job"),
        completion: LiveCompletion.jobs([.succeeded]), transform: Arguments.job)
    var job: JobID
    @Flag(name: .customLong("dry-run"), help: "Only tell what would go, and what is in the way.") var dryRun =
        false
    @Option(help: ArgumentHelp("Why; kept with the purge, not in the audit log.", valueName: "text"))
    var reason: String?
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        if !dryRun { try Confirmation.ask("This cannot be taken back.", session) }
        try PurgeText.show(
            try session.call(
                .jobPurge, PurgeJobParams(job: job, dryRun: dryRun ? true : nil, reason: reason)),
            session.output)
    }
}

/// `model purge`.
struct ModelPurge: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "purge", abstract: "Destroy one version for good; for administrators.",
        discussion: """
            Its number stays taken, its bytes can never be imported again. Refused for a head, a held version, and one that a \
            job needs. What that destroys on the disk: see purge --help.
            """)
    @Argument(
        help: "The version, MODEL@vN.", completion: LiveCompletion.versions, transform: Arguments.version)
    var version: VersionReference
    @Option(help: ArgumentHelp("Why; kept with the purge, not in the audit log.", valueName: "text"))
    var reason: String?
    @OptionGroup(title: "Global") var options: GlobalOptions

    func validate() throws {
        if version.version == nil { throw ValidationError("Name the version: \(version)@vN.") }
    }

    func run(in session: Session) throws(ClientError) {
        try Confirmation.ask("\(version) cannot be brought back.", session)
        try PurgeText.show(
            try session.call(.modelPurge, PurgeVersionParams(version: version, reason: reason)),
            session.output)
    }
}

/// `dataset purge`.
struct DatasetPurge: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "purge", abstract: "Destroy one dataset and the texts of its jobs; for administrators.",
        discussion: """
            The same bytes can never be uploaded again. Later jobs cannot measure it any more. Versions stay; purge --job \
            takes everything that knows. What that destroys on the disk: see purge --help.
            """)
    @Argument(help: "The dataset's id, or at least 8 digits of its beginning.") var dataset: String
    @Option(help: ArgumentHelp("Why; kept with the purge, not in the audit log.", valueName: "text"))
    var reason: String?
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        try Confirmation.ask("The dataset cannot be brought back.", session)
        let name = dataset.hasPrefix("sha256:") ? String(dataset.dropFirst(7)) : dataset
        try PurgeText.show(
            try session.call(.datasetPurge, PurgeDatasetParams(dataset: name, reason: reason)), session.output
        )
    }
}
