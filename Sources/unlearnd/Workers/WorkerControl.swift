// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol
import Synchronization

/// What others want of a running worker: that it goes on, stops, or is killed.
final class WorkerControl: Sendable {
    private struct State {
        var process: pid_t?
        var channel: WorkerChannel?
        /// What it was, or is to be, told so that it ends.
        var wish: WorkerCommand?
        /// Whether it is killed if it does not end in time.
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
            if let wish = state.wish { channel.send(wish) }
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

    /// Asks the worker to write a training checkpoint and end, however long its step takes.
    func pause() {
        let channel = state.withLock { state -> WorkerChannel? in
            guard state.wish == nil else { return nil }
            state.wish = .pause
            return state.channel
        }
        channel?.send(.pause)
    }

    /// Asks the worker to stop, and kills it when it is still there after `grace` seconds.
    ///
    /// - Parameter command: How it is asked: `cancel`, or `pause` for a job that shall go on later.
    func stop(grace: Double, with command: WorkerCommand = .cancel, isShutdown: Bool = false) {
        let (first, channel) = state.withLock { state in
            if isShutdown { state.isShutdown = true }
            let isNew = !state.isStopping
            state.isStopping = true
            // Whoever cancels a job that is being paused wants it ended at once.
            let isStronger = state.wish == nil || state.wish == .pause && command == .cancel
            if isStronger { state.wish = command }
            return (isNew || isStronger, isStronger ? state.channel : nil)
        }
        channel?.send(command)
        guard first else { return }
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
