// SPDX-License-Identifier: Apache-2.0

/// Where the configuration comes from; read at the start, and again at each reload.
struct ConfigurationSource: Sendable {
    /// What the command line gave.
    var flags: [DaemonConfiguration.Key: String]
    /// The file that the command line named.
    var file: String?
    var environment: [String: String]

    /// Reads it.
    /// - Throws: ``DaemonConfiguration/Fault``.
    func load() throws -> DaemonConfiguration {
        try DaemonConfiguration.load(flags: flags, file: file, environment: environment)
    }
}
