// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The past from where a subscriber asked, then whatever happens: in order, without gap or repetition.
///
/// The sequence ends after a `lagged` event, when ``cancel()`` was called, or when the daemon stops.
package struct EventSubscription: AsyncSequence, Sendable {
    package typealias Element = Event
    package typealias Failure = any Error

    /// The number of the next durable event at the moment of the subscription.
    package let nextSeq: Int64
    /// The jobs asked for, as they stood then.
    package let snapshot: [Job]?

    private let history: Range<Int64>
    private let filter: EventFilter
    private let queue: EventQueue
    private let database: StateDatabase

    /// A subscription from `since` on (absent: from now on) that begins at this moment.
    package init(
        reading database: StateDatabase, hub: EventHub, _ params: SubscribeParams, snapshot: [Job]? = nil
    ) {
        filter = EventFilter(params)
        (queue, nextSeq) = hub.subscribe(filter)
        history = Swift.min(params.since ?? nextSeq, nextSeq)..<nextSeq
        self.snapshot = snapshot
        self.database = database
    }

    /// Ends the sequence; safe to call at any time and from anywhere.
    package func cancel() { queue.finish() }

    package func makeAsyncIterator() -> Iterator {
        Iterator(remaining: history, filter: filter, queue: queue, database: database)
    }

    /// Reads the log by pages, then waits for what comes.
    package struct Iterator: AsyncIteratorProtocol {
        private static let pageSize = 500
        var remaining: Range<Int64>
        let filter: EventFilter
        let queue: EventQueue
        let database: StateDatabase
        var page: ArraySlice<Event> = []

        package mutating func next() async throws -> Event? {
            while page.isEmpty, !remaining.isEmpty {
                let (range, filter) = (remaining, filter)
                let (events, next) = try await database.read {
                    try EventRow.page(range, filter, limit: Self.pageSize, $0)
                }
                page = events[...]
                remaining = Swift.min(next, range.upperBound)..<range.upperBound
            }
            if let event = page.popFirst() { return event }
            return await queue.next()
        }
    }
}
