// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol

/// Where a client looks for the daemon that names no socket.
package enum SocketPath {
    /// The socket of `UNLEARND_SOCKET`, else of the user's own daemon, else of the system's.
    package static var standard: String {
        var environment: [String: String] = [:]
        for name in ["HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "UNLEARND_SOCKET"] {
            environment[name] = getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
        }
        let standard = StandardPaths(environment: environment, isRoot: geteuid() == 0).socket
        // A user without a daemon of their own means the system's.
        let isServed =
            environment["UNLEARND_SOCKET"] != nil || access(standard, F_OK) == 0
            || access(StandardPaths.serviceSocket, F_OK) != 0
        return isServed ? standard : StandardPaths.serviceSocket
    }
}
