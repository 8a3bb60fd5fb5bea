// SPDX-License-Identifier: Apache-2.0

import Logging
import Protocol
import ServiceLifecycle

/// Writes to the log when jobs begin and how they end, with the job and its model as fields.
///
/// How a job ends is what somebody asked for; only one that was lost needs a person.
struct JobJournal: Service {
    let hub: EventHub
    let logger: Logger

    func run() async throws {
        while !hub.isClosed {
            let (events, _) = hub.subscribe(EventFilter(SubscribeParams(types: [EventType.state.rawValue])))
            while let event = await events.next() {
                guard event.type != .lagged else {
                    logger.warning("jobs changed faster than they could be logged; some are not in the log")
                    break
                }
                note(event)
            }
        }
        try? await gracefulShutdown()
    }

    private func note(_ event: Event) {
        guard let job = event.job, case .string(let name)? = event.data["to"],
            let state = JobState(rawValue: name), let level = Self.level(of: state)
        else { return }
        var fields: Logger.Metadata = ["job": "\(job)"]
        if let model = event.model { fields["model"] = "\(model)" }
        if case .string(let reason)? = event.data["reason"] { fields["reason"] = .string(reason) }
        logger.log(level: level, "job \(state == .running ? "begins" : name)", metadata: fields)
    }

    /// `nil` for a state that passes, or waits.
    private static func level(of state: JobState) -> Logger.Level? {
        switch state {
        case .running, .paused: .info
        case .succeeded, .failed, .cancelled: .notice
        case .lost: .warning
        case .held, .blocked, .queued, .cancelling, .committing: nil
        }
    }
}
