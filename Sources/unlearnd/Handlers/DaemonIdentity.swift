// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol

/// What this start of the daemon says about itself.
struct DaemonIdentity: Sendable {
    /// New at each start.
    let instance = RandomToken.make()
    let started = Timestamp.now
    let pid = Int(getpid())
    var socket: String
    var descriptorSocket: String
    var stateDirectory: String

    /// The greeting.
    var hello: Hello {
        Hello(
            server: Hello.Program(name: "unlearnd", version: Software.version), instance: instance,
            capabilities: ["events", "blob", "fd", "audit"], fdSocket: descriptorSocket)
    }
}
