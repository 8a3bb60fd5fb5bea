// SPDX-License-Identifier: Apache-2.0

/// Where a cluster has put a job, or why it has not yet.
package struct JobPlacement: Codable, Hashable, Sendable {
    package var launcher: Launcher
    /// The cluster's number of the job, with that of the step in a standing allocation: `120`, `120.4`.
    package var id: String
    /// The state in the cluster's own word: `PENDING`, `RUNNING`, …
    package var state: String
    /// Why it waits, in the cluster's own word: `Resources`, `Priority`, …; `null` once it runs.
    package var reason: String?
    /// The nodes in the cluster's notation, `c[1-4]`; `null` while it waits.
    package var nodes: String?

    /// A placement.
    package init(launcher: Launcher, id: String, state: String, reason: String?, nodes: String?) {
        self.launcher = launcher
        self.id = id
        self.state = state
        self.reason = reason
        self.nodes = nodes
    }
}
