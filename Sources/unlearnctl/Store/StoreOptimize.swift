// SPDX-License-Identifier: Apache-2.0

import Client
import ArgumentParser
import Protocol

/// `store optimize`.
struct StoreOptimize: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "optimize",
        abstract: "Store older versions as differences from the versions made from them.",
        discussion: """
            Heads, candidates, and versions that are held or tagged stay in full. A difference is kept where it has at \
            most 60 % of the bytes; after a small edit it has very few. Old versions can be read, exported, rolled back \
            to and purged as before; what a purge would leave without its other half is written in full first.
            """)
    @Flag(help: "Wait for the job and tell what it saved.") var wait = false
    @Flag(
        name: .customLong("dry-run"),
        help: "Wait for a job that computes the differences, writes none, and tells what they would save.")
    var dryRun = false
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let output = session.output
        let raw = try session.call(.storeOptimize, StoreOptimizeParams(dryRun: dryRun ? true : nil))
        guard let job = try Connection.decode(JobSubmitResult.self, raw).job else {
            throw ClientError(.internalError, "the daemon took the job but named none")
        }
        guard wait || dryRun else {
            if output.isQuiet { return output.data("\(job.id)") }
            if output.isJSON { return output.json(raw["job"] ?? .null) }
            output.data("job \(job.id) is \(job.state.rawValue): optimize")
            return output.note("follow it with: unlearnctl wait \(job.id)")
        }
        guard let ended = try JobWaiter(session, [job.id]).wait().first else {
            throw ClientError(.internalError, "the daemon told no end of job \(job.id)")
        }
        let done = try Connection.decode(Job.self, ended)
        if let failure = JobExit.failure(of: done) { throw failure }
        if output.isJSON { return output.json(ended) }
        if output.isQuiet { return output.data("\(job.id)") }
        for warning in done.warnings { output.warn(Text.safe(warning)) }
        output.data(Self.told(done.result ?? .null))
    }

    /// What was saved, in one line.
    private static func told(_ result: JSONValue) -> String {
        func number(_ name: String) -> Int64 { result[name]?.integerValue ?? 0 }
        let (before, after) = (number("bytes_before"), number("bytes_after"))
        let would = result["dry_run"]?.boolValue == true ? "would be" : "are now"
        var text =
            "\(Text.count(Int(number("deltas")), "object")) \(would) differences: \(Text.bytes(before)) became \(Text.bytes(after)), \(Text.bytes(before - after)) saved"
        if number("unsuitable") > 0 { text += "; \(number("unsuitable")) stay in full" }
        if number("already") > 0 { text += "; \(number("already")) were differences before" }
        if number("restored") > 0 {
            text +=
                "; \(Text.count(Int(number("restored")), "object")) in full again, \(Text.bytes(number("restored_bytes"))) more"
        }
        return text
    }
}
