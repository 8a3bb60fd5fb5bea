// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `store verify`.
struct StoreVerify: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Read every object of every version and hold it against its hash.",
        discussion: """
            What is damaged is moved to the quarantine, and the versions that need it are named. The same bytes heal it, \
            whether an import of a model that has them brings them or a backup. Ends with status 74 if anything is missing \
            or damaged.

            With --for it stops in time, and the next such run goes on there, also after a restart of the daemon, until all \
            objects were read. The configuration's verify_every_hours does that regularly.
            """)
    @Flag(help: "Check presence, sizes and headers only.") var quick = false
    @Option(
        help: "Look at a share of the objects alone, drawn anew each time: 5% or 0.05.",
        transform: StoreVerify.share) var sample: Double?
    @Option(
        name: .customLong("for"), help: "Stop after so long, and go on there the next time: 90s, 30m, 2h.")
    var limit: Seconds?
    @OptionGroup(title: "Global") var options: GlobalOptions

    func validate() throws {
        if sample != nil, limit != nil {
            throw ValidationError(
                "a sample is drawn anew each time, so --sample and --for do not go together")
        }
        if let limit, limit.value <= 0 { throw ValidationError("--for is a length of time above 0") }
    }

    func run(in session: Session) throws(ClientError) {
        var parameters = JobParameters()
        if quick { parameters.quick = true }
        parameters.sample = sample
        parameters.seconds = limit?.value
        let job = try session.perform(JobSpec(kind: .verify, parameters: parameters)).job
        let result = job.result ?? .null
        let isValid = result["valid"]?.boolValue == true
        let output = session.output
        if output.isJSON {
            output.json(result)
        } else {
            Self.findings(result, output)
            if isValid, !output.isQuiet { output.data(amount(result)) }
        }
        guard isValid else {
            throw ClientError(
                .storage, "the store is damaged",
                hint:
                    "import the same files again, or bring them back from a backup: unlearnctl store restore TARGET"
            )
        }
    }

    /// One line for each finding.
    private static func findings(_ result: JSONValue, _ output: Output) {
        func text(_ value: JSONValue?) -> String { Text.safe(value?.stringValue ?? "") }
        for (list, word) in [
            ("corrupt", "damaged"), ("missing", "missing"), ("corrupt_datasets", "damaged dataset"),
        ] {
            for entry in result[list]?.arrayValue ?? [] {
                let versions = (entry["versions"]?.arrayValue ?? []).map { text($0) }
                let reason = entry["reason"].map { " (\(text($0)))" } ?? ""
                let needed =
                    versions.isEmpty
                    ? list == "corrupt_datasets" ? "" : ", which no version needs"
                    : ", needed by \(versions.joined(separator: ", "))"
                output.data("\(word): \(text(entry["id"]))\(needed)\(reason)")
            }
        }
    }

    /// What was looked at and found sound.
    private func amount(_ result: JSONValue) -> String {
        let objects = result["objects"]?.integerValue ?? 0
        let total = result["total"]?.integerValue ?? 0
        let amount = "\(objects) objects, \(Text.bytes(result["bytes"]?.integerValue ?? 0))"
        if sample != nil { return "a sample of \(total) objects is whole: \(amount)" }
        guard limit != nil else { return "the store is whole: \(amount)" }
        let position = result["position"]?.integerValue ?? 0
        return result["stopped_at"]?.stringValue == nil
            ? "the last part of the store is whole: \(amount); all \(total) were read"
            : "a part of the store is whole: \(amount); \(position) of \(total) were read, the next run goes on there"
    }

    /// A share as `5%` or `0.05`.
    @Sendable private static func share(_ text: String) throws -> Double {
        let percent = text.hasSuffix("%")
        guard let number = Double(percent ? String(text.dropLast()) : text), number > 0,
            number <= (percent ? 100 : 1)
        else { throw ValidationError("write a share above 0, such as 5% or 0.05, of at most 100%") }
        return percent ? number / 100 : number
    }
}
