// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `audit …`.
struct Audit: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Read and check the log of who did what; certificates.",
        subcommands: [
            AuditLog.self, AuditVerify.self, AuditCertificate.self, AuditKeyCommand.self,
            VerifyCertificate.self,
        ])
}

/// `audit log`.
struct AuditLog: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Show the newest rows, oldest first.")
    @Option(help: ArgumentHelp("Only from this row on.", valueName: "number")) var since: Int64?
    @Option(help: ArgumentHelp("At most so many rows (default 100).", valueName: "number")) var limit: Int?
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let raw = try session.call(.auditLog, AuditLogParams(since: since, limit: limit))
        if session.output.isJSON { return session.output.json(raw) }
        let rows = try Connection.decode([AuditRow].self, raw)
        var table = Table(["ROW", "TIME", "WHO", "ACTION", "HASH", "WHAT"], right: [0])
        for row in rows {
            table.add([
                "\(row.seq)", row.time.description, row.actor < 0 ? "unlearnd" : "user \(row.actor)",
                row.action, row.hash.short,
                row.body.serializedString(),
            ])
        }
        session.output.table(table)
    }
}

/// `audit verify`.
struct AuditVerify: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Recompute the chain of hashes over all rows.",
        discussion: "Ends with status 74 if a row was changed or removed.")
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let raw = try session.call(.auditVerify)
        let result = try Connection.decode(AuditVerifyResult.self, raw)
        if session.output.isJSON {
            session.output.json(raw)
        } else if result.valid, !session.output.isQuiet {
            session.output.data(
                "the audit log is whole: \(Text.count(result.rows, "row")), head \(result.head?.hex ?? "–")")
        }
        guard result.valid else {
            throw ClientError(
                .storage, "the audit log is broken at row \(result.brokenAt.map(String.init) ?? "?")",
                hint: "rows from there on were changed or removed; compare with a backup")
        }
    }
}
