// SPDX-License-Identifier: Apache-2.0

import Protocol

/// What a request's handler knows of the connection it came over.
struct Session: Sendable {
    /// Counts connections from 1 in this instance.
    var number: Int
    var peer: Peer
}
