// SPDX-License-Identifier: Apache-2.0

import Logging
import Protocol
import Synchronization

/// Puts what users were not permitted to do into the audit log.
///
/// The first refusal of a user and a method is a row at once; those that follow within a minute are counted and become one
/// row, so that who is refused a thousand times a second fills neither the disk nor the writer's time.
package final class RefusalLog: Sendable {
    /// How long equal refusals are counted before they are written.
    private static let window = Duration.seconds(60)

    private struct Refusal: Hashable {
        /// −1 where the kernel did not say who it was.
        var actor: Int
        var method: String
        var kind: String
    }

    private struct State {
        var database: StateDatabase?
        /// Refusals that were not written yet, of those that were seen within the window.
        var counts: [Refusal: Int] = [:]
        var hasTimer = false
    }

    private let state = Mutex(State())
    private let logger: Logger

    /// A log that keeps what comes until it has a database.
    package init(logger: Logger) { self.logger = logger }

    /// From now on refusals are written.
    package func begin(_ database: StateDatabase) {
        state.withLock { $0.database = database }
        Task { await flush() }
    }

    /// Somebody was refused something. Returns at once.
    ///
    /// - Parameter method: What was asked for: a method's name, `connect`, `descriptor`.
    package func refused(_ uid: UInt32?, _ method: String, _ kind: RPCError.Kind) {
        let refusal = Refusal(actor: uid.map(Int.init) ?? -1, method: method, kind: kind.rawValue)
        let isFirst = state.withLock { state in
            let count = state.counts[refusal]
            guard count == nil, state.database != nil else {
                state.counts[refusal] = (count ?? 0) + 1
                return false
            }
            state.counts[refusal] = 0
            return true
        }
        guard isFirst else { return }
        Task {
            await write([refusal: 1])
            await wait()
        }
    }

    /// Writes what was counted. To be called once more when nobody is served any longer.
    package func flush() async {
        let counts = state.withLock { state -> [Refusal: Int] in
            guard state.database != nil else { return [:] }
            defer { state.counts = [:] }
            return state.counts.filter { $0.value > 0 }
        }
        await write(counts)
    }

    /// Ends the window after a while; one timer serves all.
    private func wait() async {
        let isMine = state.withLock { state in
            defer { state.hasTimer = true }
            return !state.hasTimer
        }
        guard isMine else { return }
        try? await Task.sleep(for: Self.window)
        state.withLock { $0.hasTimer = false }
        await flush()
    }

    private func write(_ counts: [Refusal: Int]) async {
        guard !counts.isEmpty, let database = state.withLock({ $0.database }) else { return }
        do {
            try await database.change { change in
                for (refusal, count) in counts.sorted(by: { $0.key.method < $1.key.method }) {
                    try change.audit(
                        "access.refused", actor: refusal.actor,
                        [
                            "method": .string(refusal.method), "kind": .string(refusal.kind),
                            "count": .integer(Int64(count)),
                        ])
                }
            }
        } catch {
            logger.error("a refusal is not in the audit log: \(error)")
        }
    }
}
