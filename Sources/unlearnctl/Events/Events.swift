// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `events`.
struct Events: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "events",
        abstract: "Show what happened: the durable event log, and with --follow what happens.")
    @Flag(name: [.short, .long], help: "Go on with what happens, until Ctrl-C.") var follow = false
    @Option(
        help: ArgumentHelp(
            "Only from this number on (default: all that are kept; with --follow: only new ones).",
            valueName: "seq"))
    var since: Int64?
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let connection = try session.connection()
        var params = SubscribeParams(since: since ?? (follow ? nil : 1))
        var answer = try connection.callReturningError(.eventsSubscribe, params, deadline: session.deadline)
        if since == nil, !follow, case .failure(let error) = answer, error.kind == .gone {
            // Nobody asked for the first one: begin with the oldest that is kept.
            params.since = oldest(error)
            answer = try connection.callReturningError(.eventsSubscribe, params, deadline: session.deadline)
        }
        guard case .success(let value) = answer else {
            if case .failure(let error) = answer { throw ClientError(error) }
            return
        }
        let end = value["next_seq"]?.integerValue ?? 0
        var next = params.since ?? end
        while follow || next < end {
            guard
                let message = try connection.next(
                    follow ? session.deadline : Deadline(in: Connection.answerTime))
            else {
                if follow { return }
                throw ClientError(.timedOut, "the daemon stopped sending events at \(next)")
            }
            guard case .event(let event, let raw) = message else { continue }
            if event.type == .lagged {
                next = event.data["next"]?.integerValue ?? next
                try session.call(.eventsSubscribe, SubscribeParams(since: next))
                continue
            }
            if let seq = event.seq {
                if !follow, seq >= end { return }
                next = seq + 1
            } else if !follow {
                continue
            }
            session.output.isJSON ? session.output.json(raw) : session.output.data(Self.line(event))
        }
    }

    private func oldest(_ error: RPCError) -> Int64? {
        error.message.split { !$0.isNumber }.compactMap { Int64($0) }.first
    }

    private static func line(_ event: Event) -> String {
        let number = event.seq.map(String.init) ?? "–"
        let job = event.job.map { "job \($0)" } ?? event.model?.text ?? "–"
        return Text.safe(
            "\(number)  \(event.time)  \(event.type.rawValue)  \(job)  \(event.data.serializedString())")
    }
}
