// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `queue …`.
struct Queue: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "queue", abstract: "See, pause, drain and resume the queue.",
        subcommands: [QueueShow.self, QueuePause.self, QueueDrain.self, QueueResume.self])
}

/// A command whose answer is the queue's status.
protocol QueueCommand: ClientCommand {
    static var method: Method { get }
}

extension QueueCommand {
    func run(in session: Session) throws(ClientError) {
        let raw = try session.call(Self.method)
        if session.output.isJSON { return session.output.json(raw) }
        session.output.queue(try Connection.decode(QueueStatus.self, raw))
    }
}

extension Output {
    /// The queue for people.
    func queue(_ status: QueueStatus) {
        let counts = status.jobs.sorted { $0.key < $1.key }.map { "\($0.value) \(Text.safe($0.key))" }
        data(
            "the queue is \(status.paused ? "paused" : "open")"
                + (counts.isEmpty ? ", and empty" : ": \(counts.joined(separator: ", "))"))
        if !status.running.isEmpty {
            data("running: \(status.running.map(String.init).joined(separator: ", "))")
        }
        for group in status.groups ?? [] {
            data(
                "group \(Text.safe(group.name)): \(group.running) of \(group.parallel.map(String.init) ?? "any number") running, "
                    + "\(group.waiting) waiting")
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
