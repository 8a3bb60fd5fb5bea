// SPDX-License-Identifier: Apache-2.0

import Protocol
import Synchronization

/// The live connections: counts them, numbers them, and tells them when the server stops.
final class ConnectionRegistry: Sendable {
    private struct State {
        var serial = 0
        var live: [Int: (uid: UInt32, stop: @Sendable () -> Void)] = [:]
        var perUser: [UInt32: Int] = [:]
        /// Bytes of lines that were begun, by user.
        var held: [UInt32: Int] = [:]
        var isStopping = false
    }
    private let state = Mutex(State())
    private let limits: ServerLimits

    init(limits: ServerLimits) { self.limits = limits }

    /// Takes in a connection.
    /// - Parameter stop: Called once when the server stops, from any thread.
    /// - Returns: The session's number.
    /// - Throws: `queue_full`, or `shutting_down`.
    func enter(_ peer: Peer, stop: @escaping @Sendable () -> Void) throws(RPCError) -> Int {
        let number: Int? = try state.withLock { state throws(RPCError) in
            guard !state.isStopping else {
                throw RPCError(.shuttingDown, "the daemon is stopping", retryAfter: 2000)
            }
            let own = state.perUser[peer.uid, default: 0]
            guard state.live.count < limits.connections, own < limits.connectionsPerUser else { return nil }
            state.serial += 1
            state.live[state.serial] = (peer.uid, stop)
            state.perUser[peer.uid] = own + 1
            return state.serial
        }
        guard let number else {
            throw RPCError(
                .queueFull,
                "too many connections: \(limits.connections) in all, \(limits.connectionsPerUser) of one user",
                hint: "close some", retryAfter: 1000)
        }
        return number
    }

    /// Forgets a connection.
    func leave(_ number: Int) {
        state.withLock { state in
            guard let uid = state.live.removeValue(forKey: number)?.uid else { return }
            let left = state.perUser[uid, default: 1] - 1
            state.perUser[uid] = left > 0 ? left : nil
        }
    }

    /// Counts bytes of lines that a user's connections have begun and not ended.
    /// - Returns: Whether they are few enough.
    func hold(_ bytes: Int, uid: UInt32) -> Bool {
        guard bytes != 0 else { return true }
        return state.withLock { state in
            let all = state.held[uid, default: 0] + bytes
            state.held[uid] = all > 0 ? all : nil
            return bytes < 0 || all <= limits.unfinishedPerUser
        }
    }

    /// Lets nobody in any more and tells everybody to finish.
    func stop() {
        let all = state.withLock { state in
            state.isStopping = true
            return state.live.values.map(\.stop)
        }
        for stop in all { stop() }
    }

    /// Connections at this moment.
    var count: Int { state.withLock { $0.live.count } }
}
