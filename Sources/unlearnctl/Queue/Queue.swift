// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `queue …`.
struct Queue: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "queue", abstract: "See, pause and resume the queue.",
        subcommands: [QueueShow.self, QueuePause.self, QueueResume.self])
}

/// A command whose answer is the queue's status.
protocol QueueCommand: ClientCommand {
    static var method: Method { get }
}

extension QueueCommand {
    func run(in session: Session) throws(ClientError) {
        let raw = try session.call(Self.method)
        if session.output.isJSON { return session.output.json(raw) }
        let status = try Connection.decode(QueueStatus.self, raw)
        let counts = status.jobs.sorted { $0.key < $1.key }.map { "\($0.value) \(Text.safe($0.key))" }
        session.output.data(
            "the queue is \(status.paused ? "paused" : "open")"
                + (counts.isEmpty ? ", and empty" : ": \(counts.joined(separator: ", "))"))
        if !status.running.isEmpty {
            session.output.data("running: \(status.running.map(String.init).joined(separator: ", "))")
        }
    }
}

/// `queue status`.
struct QueueShow: QueueCommand {
    static let configuration = CommandConfiguration(commandName: "status", abstract: "Show the queue.")
    static let method = Method.queueStatus
    @OptionGroup(title: "Global") var options: GlobalOptions
}

/// `queue pause`.
struct QueuePause: QueueCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Start no more queued jobs; those that run go on.")
    static let method = Method.queuePause
    @OptionGroup(title: "Global") var options: GlobalOptions
}

/// `queue resume`.
struct QueueResume: QueueCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Start queued jobs again.")
    static let method = Method.queueResume
    @OptionGroup(title: "Global") var options: GlobalOptions
}
