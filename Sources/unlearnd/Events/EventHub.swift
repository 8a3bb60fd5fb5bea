// SPDX-License-Identifier: Apache-2.0

import Protocol
import Synchronization

/// Hands events to whoever listens, without ever waiting for a listener.
package final class EventHub: Sendable {
    private struct State {
        var next: Int64 = 1
        var serial = 0
        var subscribers: [Int: EventQueue] = [:]
        var progress: [JobID: JobProgress] = [:]
        var isClosed = false
    }
    private let state = Mutex(State())

    /// A hub without listeners.
    package init() {}

    /// Sets the number of the next durable event; before anybody subscribes.
    func begin(next: Int64) { state.withLock { $0.next = next } }

    /// Hands out events. Durable ones come here in the order of their numbers, after their commit.
    package func publish(_ events: [Event]) {
        guard !events.isEmpty else { return }
        state.withLock { state in
            for event in events {
                if let seq = event.seq { state.next = seq + 1 }
                for subscriber in state.subscribers.values { subscriber.offer(event, next: state.next) }
            }
        }
    }

    /// Remembers a job's progress and hands it out.
    package func publish(_ progress: JobProgress, job: JobID, model: ModelName?) {
        guard let data = try? JSONValue(encoding: progress) else { return }
        state.withLock { $0.progress[job] = progress }
        publish([Event(time: .now, type: .progress, job: job, model: model, data: data)])
    }

    /// The latest progress of a running job.
    func progress(of job: JobID) -> JobProgress? { state.withLock { $0.progress[job] } }

    /// Forgets the progress of a job that has ended.
    func forgetProgress(of job: JobID) { _ = state.withLock { $0.progress.removeValue(forKey: job) } }

    /// Begins to collect events; everything with a smaller number than `next` is committed and can be read.
    package func subscribe(_ filter: EventFilter) -> (queue: EventQueue, next: Int64) {
        state.withLock { state in
            state.serial += 1
            let serial = state.serial
            let queue = EventQueue(filter) { [weak self] in
                _ = self?.state.withLock { $0.subscribers.removeValue(forKey: serial) }
            }
            state.subscribers[serial] = queue
            return (queue, state.next)
        }
    }

    /// Whether no more events will come.
    var isClosed: Bool { state.withLock(\.isClosed) }

    /// Ends every subscription after what is queued.
    package func close() {
        let all = state.withLock { state in
            state.isClosed = true
            defer { state.subscribers = [:] }
            return Array(state.subscribers.values)
        }
        for queue in all { queue.finish() }
    }
}
