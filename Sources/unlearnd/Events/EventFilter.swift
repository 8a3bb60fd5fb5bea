// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Which events a subscriber wants.
package struct EventFilter: Sendable {
    var types: Set<EventType>?
    var jobs: Set<JobID>?

    /// The filter of a subscription; no list means everything.
    package init(_ params: SubscribeParams) {
        types = params.types.map { Set($0.map(EventType.init(rawValue:))) }
        jobs = params.jobs.map { Set($0) }
    }

    func accepts(_ event: Event) -> Bool {
        (types?.contains(event.type) ?? true) && (jobs.map { event.job.map($0.contains) ?? false } ?? true)
    }
}
