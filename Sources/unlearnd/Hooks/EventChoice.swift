// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Which events a hook is for.
struct EventChoice: Hashable, Sendable {
    private let type: EventType
    /// The state that a job has changed to.
    private let state: JobState?

    /// What can be chosen: durable events, and changes to each state.
    static let names: [String] =
        types.map(\.rawValue) + JobState.allCases.map { "\(EventType.state.rawValue):\($0.rawValue)" }

    /// Events that come many times a second are no choice, progress and lines of logs, nor is one that comes before
    /// anybody listens.
    static let types = EventType.Known.allCases.filter { ![.progress, .log, .lagged, .started].contains($0) }

    /// Reads a name; `nil` for one that is none of ``names``.
    init?(_ name: String) {
        guard Self.names.contains(name) else { return nil }
        let parts = name.split(separator: ":", maxSplits: 1)
        type = EventType(rawValue: String(parts[0]))
        state = parts.count > 1 ? JobState(rawValue: String(parts[1])) : nil
    }

    /// Whether an event is meant.
    func matches(_ event: Event) -> Bool {
        guard event.type == type else { return false }
        return state.map { event.data["to"]?.stringValue == $0.rawValue } ?? true
    }
}
