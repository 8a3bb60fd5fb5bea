// SPDX-License-Identifier: Apache-2.0

/// Where things are when nobody says otherwise.
///
/// As root or under systemd the places of a system service, else those of the XDG base directory specification.
package struct StandardPaths: Hashable, Sendable {
    /// The state directory.
    package var stateDirectory: String
    /// The control socket.
    package var socket: String
    /// The configuration file.
    package var configuration: String

    /// The control socket of the system service.
    package static let serviceSocket = "/run/unlearnd/unlearnd.sock"

    /// The longest path that fits `sockaddr_un`, bytes.
    package static let longestSocketPath = 107

    /// The defaults for a user.
    /// - Parameters:
    ///   - environment: The process's environment.
    ///   - isRoot: Whether the process runs as user 0.
    package init(environment: [String: String], isRoot: Bool) {
        func directory(_ name: String) -> String? {
            environment[name].flatMap { $0.hasPrefix("/") ? $0 : nil }
        }
        let service = isRoot || environment["INVOCATION_ID"] != nil && directory("STATE_DIRECTORY") != nil
        if service {
            stateDirectory = directory("STATE_DIRECTORY") ?? "/var/lib/unlearnd"
            socket = (directory("RUNTIME_DIRECTORY") ?? "/run/unlearnd") + "/unlearnd.sock"
            configuration = (directory("CONFIGURATION_DIRECTORY") ?? "/etc/unlearnd") + "/unlearnd.yaml"
        } else {
            let home = directory("HOME") ?? "/"
            stateDirectory = (directory("XDG_STATE_HOME") ?? home + "/.local/state") + "/unlearnd"
            socket = (directory("XDG_RUNTIME_DIR") ?? stateDirectory) + "/unlearnd.sock"
            configuration = (directory("XDG_CONFIG_HOME") ?? home + "/.config") + "/unlearnd/unlearnd.yaml"
        }
        if let named = environment["UNLEARND_SOCKET"], !named.isEmpty { socket = named }
    }
}
