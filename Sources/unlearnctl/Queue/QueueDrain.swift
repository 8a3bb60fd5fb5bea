// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `queue drain`.
struct QueueDrain: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Start no more queued jobs, and wait until those that run have ended.",
        discussion:
            "The queue stays paused, also over restarts, until “unlearnctl queue resume”. --timeout limits the wait, which ends with status 8 then."
    )
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let connection = try session.connection()
        // Events first: no end of a job may fall between the question and the listening.
        try connection.call(.eventsSubscribe, SubscribeParams(types: [EventType.state.rawValue]))
        var raw = try session.call(.queuePause)
        var status = try Connection.decode(QueueStatus.self, raw)
        if !status.running.isEmpty {
            session.output.note(
                "waiting for \(Text.count(status.running.count, "job")): \(status.running.map(String.init).joined(separator: ", "))"
            )
        }
        let interrupts = Interrupts()
        while !status.running.isEmpty {
            if interrupts.isPending {
                throw ClientError(.detached, "the queue stays paused; unlearnctl queue resume opens it")
            }
            if session.deadline?.isOver == true {
                throw ClientError(
                    .timedOut,
                    "\(Text.count(status.running.count, "job")) still run, and the queue stays paused",
                    hint: "wait on with: unlearnctl queue drain")
            }
            guard case .event(let event, _)? = try connection.next(Deadline(in: 0.1)), event.type == .state
            else {
                continue
            }
            raw = try session.call(.queueStatus)
            status = try Connection.decode(QueueStatus.self, raw)
        }
        session.output.isJSON ? session.output.json(raw) : session.output.queue(status)
    }
}
