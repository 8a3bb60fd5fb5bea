// SPDX-License-Identifier: Apache-2.0

import Protocol
import Synchronization

/// What others want of a running worker: that it goes on, stops, or is killed.
final class WorkerControl: Sendable {
    private struct State {
        /// Ends what was started; there while it is.
        var end: (@Sendable () -> Void)?
        var channel: WorkerChannel?
        /// Whether the worker has said anything.
        var hasSpoken = false
        /// Whether it may have to wait before it can hear anything.
        var canWait = false
        /// What it was, or is to be, told so that it ends.
        var wish: WorkerCommand?
        /// Whether it is killed if it does not end in time.
        var isStopping = false
        var isKilled = false
        /// Keys that came before the order went out, which they must follow.
        var keys: [WorkerKeys]? = []
        var isShutdown = false

        /// A worker that has not begun would hear of the wish only when it does.
        func endIfWaiting() { if canWait, !hasSpoken { end?() } }
    }
    private let state = Mutex(State())

    /// Whether the daemon stops and wants the job back in the queue.
    var isShutdown: Bool { state.withLock { $0.isShutdown } }

    /// Whether the worker has said anything.
    var hasSpoken: Bool { state.withLock { $0.hasSpoken } }
    /// Whether it was to be paused while it waited to begin, so that there is nothing to go on from.
    var isWithdrawn: Bool { state.withLock { $0.wish == .pause && $0.canWait && !$0.hasSpoken } }

    /// Something was started: wishes that came before are fulfilled now.
    ///
    /// - Parameters:
    ///   - canWait: Whether the worker may have to wait before it hears anything; wishes are then fulfilled by the end.
    ///   - end: Ends it and whatever it started.
    func begin(_ channel: WorkerChannel, canWait: Bool, end: @escaping @Sendable () -> Void) {
        state.withLock { state in
            state.end = end
            state.channel = channel
            state.canWait = canWait
            if let wish = state.wish { channel.send(wish) }
            if state.isKilled || state.wish != nil && canWait { end() }
        }
    }

    /// The order is on its way: what belongs behind it follows.
    func ordered() {
        state.withLock { state in
            for keys in state.keys ?? [] { state.channel?.send(keys) }
            state.keys = nil
        }
    }

    /// Hands the worker a key that another one will write with.
    func add(_ keys: WorkerKeys) {
        state.withLock { state in
            if state.keys == nil { state.channel?.send(keys) } else { state.keys?.append(keys) }
        }
    }

    /// The worker has said something.
    func hear() { state.withLock { $0.hasSpoken = true } }

    /// The worker is gone, or about to be collected: its number means nothing any more.
    func end() {
        state.withLock { state in
            state.end = nil
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
            state.endIfWaiting()
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
            state.endIfWaiting()
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
            state.end?()
        }
    }
}
