// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// How much one client, one user and all together may take of the server.
struct ServerLimits: Sendable {
    /// Connections at the same time.
    var connections = 4096
    /// Connections of one user at the same time.
    var connectionsPerUser = 2048
    /// Live subscriptions of one connection.
    var subscriptions = 16
    /// Unread bytes above which nothing more is read from that client, until `resumeBelow` is reached.
    var pauseAbove = 1 << 20
    var resumeBelow = 256 << 10
    /// Unread bytes above which the connection is closed.
    var closeAbove = 8 << 20
    /// How long a client may read nothing of what waits for it.
    var stuck = TimeAmount.seconds(30)
    /// How long a line may take from its first byte to its last.
    var line = TimeAmount.seconds(60)
    /// Bytes of lines that one user's connections have begun and not ended.
    var unfinishedPerUser = 64 << 20
    /// How long requests have to end when the server stops.
    var farewell = TimeAmount.seconds(3)

    /// Limits that leave `descriptors` open files for the database, the objects and transfers too.
    init(descriptors: Int) {
        connections = min(connections, max(64, descriptors / 2))
        connectionsPerUser = min(connectionsPerUser, connections / 2)
    }
}
