// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Glibc
import Protocol

/// The client of `unlearnd`.
@main
struct Unlearnctl: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unlearnctl",
        abstract: "Make language models forget, measure it, and take it back: the client of unlearnd.",
        discussion: """
            Every job takes a model's version, snapshots it, edits the weights and measures the result; it becomes the \
            model's head only if it meets the gate. Data go to standard output, all else to standard error.

            A first job:
              unlearnctl model import my-model ./my-model
              unlearnctl submit ascent --model my-model --forget forget.jsonl \\
                --retain retain.jsonl --gate 'forget=good,utility>=0.9' --wait
              unlearnctl rollback my-model --to v1

            Exit status: 0 done, 1 job failed, 3 gate refused, 4 cancelled or lost, 5 not found, 6 conflict, 8 timed \
            out, 64 usage, 65 bad data, 69 daemon not reachable, 70 internal, 74 storage, 75 try again, 76 protocol, \
            77 not permitted, 78 configuration, 130 detached by Ctrl-C.
            """,
        version: "unlearnctl \(Software.version)",
        subcommands: [
            Submit.self, Ps.self, Show.self, Logs.self, Wait.self, Watch.self, Cancel.self, Retry.self,
            Pause.self, Resume.self, Hold.self,
            Release.self, Report.self, Rollback.self, Promote.self, Models.self, Datasets.self, Generate.self,
            Tokenize.self, Store.self, Queue.self, Audit.self, VerifyCertificate.self, Purge.self,
            Events.self,
            System.self,
        ])

    /// Parses, runs, and ends with the status that the outcome has.
    static func main() {
        StandardDescriptors.hold()
        do {
            let arguments = try ArgumentOrder.normalized(
                Array(CommandLine.arguments.dropFirst()), root: Self.self)
            var command = try parseAsRoot(arguments)
            try command.run()
        } catch let error as ClientError {
            Output().failure(error)
            Glibc.exit(error.status.rawValue)
        } catch {
            exit(withError: error)
        }
    }
}
