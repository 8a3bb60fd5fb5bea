// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
import Protocol

/// `system metrics`.
struct SystemMetrics: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "metrics", abstract: "Show the daemon's figures in OpenMetrics text.",
        discussion: """
            For a monitoring agent: run it at intervals into a file that the agent collects. The queue by state, the \
            store, free disk space, memory. --json gives the answers that it is made of.
            """)
    @OptionGroup(title: "Global") var options: GlobalOptions

    func run(in session: Session) throws(ClientError) {
        let info = try session.call(.systemInfo)
        let queue = try session.call(.queueStatus)
        let store = try session.call(.storeStatus)
        if session.output.isJSON {
            return session.output.json(["system": info, "queue": queue, "store": store])
        }
        let metrics = OpenMetrics(
            try Connection.decode(SystemInfo.self, info), try Connection.decode(QueueStatus.self, queue),
            try Connection.decode(StoreStatus.self, store))
        session.output.raw(metrics.text)
    }
}
