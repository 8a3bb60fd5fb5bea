// SPDX-License-Identifier: Apache-2.0

import Protocol
import Synchronization

/// What one subscriber has not fetched yet: bounded, and never silently short of a durable event.
///
/// Of progress only the latest of each job is kept. When anything else does not fit, the queue ends with one
/// `lagged` event that says where to subscribe again.
package final class EventQueue: Sendable {
    /// Most events that wait.
    static let capacity = 1000

    private struct State {
        var waiting: [Event] = []
        var head = 0
        var ended = false
        var reader: CheckedContinuation<Void, Never>?
    }
    private let state = Mutex(State())
    private let filter: EventFilter
    private let leave: @Sendable () -> Void

    init(_ filter: EventFilter, leave: @escaping @Sendable () -> Void) {
        self.filter = filter
        self.leave = leave
    }

    /// Takes an event if the subscriber wants it; `next` is the number of the durable event after it.
    func offer(_ event: Event, next: Int64) {
        guard filter.accepts(event) else { return }
        let reader = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard !state.ended else { return nil }
            if event.type == .progress,
                let old = state.waiting.lastIndex(where: { $0.type == .progress && $0.job == event.job }),
                old >= state.head
            {
                state.waiting[old] = event
            } else if state.waiting.count - state.head < Self.capacity {
                state.waiting.append(event)
            } else {
                let resume = event.seq ?? next
                state.waiting.append(
                    Event(time: event.time, type: .lagged, data: ["next": .integer(resume)]))
                state.ended = true
            }
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume()
    }

    /// The next event; `nil` at the end, or when the calling task is cancelled.
    package func next() async -> Event? {
        while true {
            let taken = state.withLock { state -> Event?? in
                if state.head < state.waiting.count {
                    let event = state.waiting[state.head]
                    state.head += 1
                    if state.head == state.waiting.count || state.head >= 256 {
                        state.waiting.removeFirst(state.head)
                        state.head = 0
                    }
                    return .some(event)
                }
                return state.ended ? .some(nil) : .none
            }
            if let taken {
                if taken == nil { leave() }
                return taken
            }
            await wait()
            if Task.isCancelled {
                finish()
                return nil
            }
        }
    }

    private func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let goOn = state.withLock { state in
                    guard state.head == state.waiting.count, !state.ended, !Task.isCancelled,
                        state.reader == nil
                    else {
                        return true
                    }
                    state.reader = continuation
                    return false
                }
                if goOn { continuation.resume() }
            }
        } onCancel: {
            finish()
        }
    }

    /// Ends the queue after what waits in it.
    package func finish() {
        let reader = state.withLock { state in
            state.ended = true
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume()
        leave()
    }
}
