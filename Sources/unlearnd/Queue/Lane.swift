// SPDX-License-Identifier: Apache-2.0

/// Jobs that share slots: those that somebody waits for, those that a cluster runs, and the queue.
enum Lane: CaseIterable {
    case interactive, remote, queue

    init(isInteractive: Bool, isRemote: Bool) {
        self = isInteractive ? .interactive : isRemote ? .remote : .queue
    }

    /// The condition that a row of `job` meets.
    var condition: String {
        switch self {
        case .interactive: "interactive = 1"
        case .remote: "interactive = 0 AND remote = 1"
        case .queue: "interactive = 0 AND remote = 0"
        }
    }
}
