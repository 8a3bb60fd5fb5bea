// SPDX-License-Identifier: Apache-2.0

/// The state of a job. `succeeded`, `failed`, `cancelled` and `lost` are terminal.
package enum JobState: String, Codable, Sendable, CaseIterable {
    case held, blocked, queued, running, paused, cancelling, committing
    case succeeded, failed, cancelled, lost

    /// Whether nothing can happen to the job any more, except a retry as a new start.
    package var isTerminal: Bool {
        switch self {
        case .succeeded, .failed, .cancelled, .lost: true
        case .held, .blocked, .queued, .running, .paused, .cancelling, .committing: false
        }
    }

    /// Whether the job has begun and holds its model: a worker may be at work on it, unless it is paused.
    package var isActive: Bool {
        switch self {
        case .running, .paused, .cancelling, .committing: true
        default: false
        }
    }
}
