// SPDX-License-Identifier: Apache-2.0

/// The parameters of a method that takes none: an empty object, or none at all.
package struct NoParams: Codable, Hashable, Sendable {
    /// Nothing.
    package init() {}
}

/// `system.schema`: all of the protocol, or one method.
package struct SystemSchemaParams: Codable, Hashable, Sendable {
    package var method: Method?
    /// A question.
    package init(method: Method? = nil) { self.method = method }
}

/// The answer to `system.ping`.
package struct PingResult: Codable, Hashable, Sendable {
    package var time: Timestamp
    /// The answer of a server whose clock shows `time`.
    package init(time: Timestamp) { self.time = time }
}

/// What the daemon is and what it runs on.
package struct SystemInfo: Codable, Hashable, Sendable {
    package var version: String
    package var `protocol`: Int
    package var instance: String
    package var pid: Int
    package var started: Timestamp
    package var socket: String
    package var stateDirectory: String
    package var threads: Int
    /// Physical memory, bytes.
    package var memoryTotal: Int64
    /// What running jobs may use together, bytes.
    package var memoryLimit: Int64
    /// What jobs were found unfinished at the start, and what became of them: `requeued`, `lost`, `cancelled`.
    package var recovered: [String: Int]

    /// A description of a daemon.
    package init(
        version: String, instance: String, pid: Int, started: Timestamp, socket: String,
        stateDirectory: String,
        threads: Int, memoryTotal: Int64, memoryLimit: Int64, recovered: [String: Int]
    ) {
        self.version = version
        self.protocol = ProtocolLimits.version
        self.instance = instance
        self.pid = pid
        self.started = started
        self.socket = socket
        self.stateDirectory = stateDirectory
        self.threads = threads
        self.memoryTotal = memoryTotal
        self.memoryLimit = memoryLimit
        self.recovered = recovered
    }

    enum CodingKeys: String, CodingKey {
        case version, `protocol`, instance, pid, started, socket, threads, recovered
        case stateDirectory = "state_directory"
        case memoryTotal = "memory_total"
        case memoryLimit = "memory_limit"
    }
}

/// The version of this software.
package enum Software {
    /// Semantic version of all programs of this package.
    package static let version = "0.1.0"
}
