// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol
import Synchronization

/// What others want of a running worker: that it goes on, stops, or is killed.
final class WorkerControl: Sendable {
    private struct State {
        var process: pid_t?
        var channel: WorkerChannel?
        var isStopping = false
        var isKilled = false
        var isShutdown = false
    }
    private let state = Mutex(State())

    /// Whether the daemon stops and wants the job back in the queue.
    var isShutdown: Bool { state.withLock { $0.isShutdown } }

    /// The worker runs: wishes that came before are fulfilled now.
    func begin(_ process: pid_t, _ channel: WorkerChannel) {
        state.withLock { state in
            state.process = process
            state.channel = channel
            if state.isStopping { channel.send(.cancel) }
            if state.isKilled { Self.kill(process) }
        }
    }

    /// The worker is gone, or about to be collected: its number means nothing any more.
    func end() {
        state.withLock { state in
            state.process = nil
            state.channel = nil
        }
    }

    /// The snapshot is recorded.
    func proceed() { state.withLock { $0.channel }?.send(.proceed) }

    /// Asks the worker to stop, and kills it when it is still there after `grace` seconds.
    func stop(grace: Double, isShutdown: Bool = false) {
        let first = state.withLock { state in
            if isShutdown { state.isShutdown = true }
            defer { state.isStopping = true }
            return !state.isStopping
        }
        guard first else { return }
        state.withLock { $0.channel }?.send(.cancel)
        Task { [self] in
            try? await Task.sleep(for: .seconds(grace))
            kill()
        }
    }

    /// Kills the worker and whatever it started.
    func kill() {
        state.withLock { state in
            state.isKilled = true
            state.channel?.shutDown()
            if let process = state.process { Self.kill(process) }
        }
    }

    private static func kill(_ process: pid_t) {
        // The group is there once the worker has begun; the process itself from the beginning.
        _ = Glibc.kill(-process, SIGKILL)
        _ = Glibc.kill(process, SIGKILL)
    }
}
