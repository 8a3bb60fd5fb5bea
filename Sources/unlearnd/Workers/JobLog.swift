// SPDX-License-Identifier: Apache-2.0

import Logging
import Protocol
import Synchronization

/// The log of one running job: lines are handed out at once and written in batches.
final class JobLog: Sendable {
    private struct State {
        var next: Int64
        var pending: [LogLine] = []
        var isScheduled = false
    }
    private let state: Mutex<State>
    private let job: JobID
    private let model: ModelName?
    private let database: StateDatabase
    private let hub: EventHub
    private let logger: Logger

    /// The log of `job`, going on after line `last`.
    init(job: JobID, model: ModelName?, last: Int64, database: StateDatabase, hub: EventHub, logger: Logger) {
        state = Mutex(State(next: last + 1))
        self.job = job
        self.model = model
        self.database = database
        self.hub = hub
        self.logger = logger
    }

    /// The next line, which the caller writes and publishes.
    func line(_ level: String, _ message: String) -> LogLine {
        let level = ["debug", "info", "notice", "warning", "error"].contains(level) ? level : "info"
        return state.withLock { state in
            defer { state.next += 1 }
            return LogLine(line: state.next, time: .now, level: level, message: String(message.prefix(8192)))
        }
    }

    /// Hands a line out to whoever follows the log.
    func publish(_ line: LogLine) {
        guard let data = try? JSONValue(encoding: line) else { return }
        hub.publish([Event(time: line.time, type: .log, job: job, model: model, data: data)])
    }

    /// Adds a line; a message of several lines stays one.
    func add(_ level: String, _ message: String) {
        let line = line(level, message)
        publish(line)
        let schedule = state.withLock { state in
            state.pending.append(line)
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
        if schedule {
            Task { [self] in
                try? await Task.sleep(for: .milliseconds(100))
                await flush()
            }
        }
    }

    /// Writes what waits.
    func flush() async {
        let lines = state.withLock { state in
            defer {
                state.pending = []
                state.isScheduled = false
            }
            return state.pending
        }
        guard !lines.isEmpty else { return }
        do {
            try await database.change { [job] in try LogRow.append(lines, to: job, in: $0) }
        } catch {
            logger.error("job \(job): \(lines.count) log lines cannot be written: \(error)")
        }
    }
}
