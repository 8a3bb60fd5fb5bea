// SPDX-License-Identifier: Apache-2.0

import Logging
import Protocol
import ServiceLifecycle
import Synchronization

/// Does what hooks say when something happens, beside everything else: no event, job or answer ever waits for a hook.
///
/// A few programs run at a time and a bounded number wait; what does not fit is dropped, counted and logged. Whoever
/// must not miss an event subscribes to the event log, which keeps them.
final class HookRunner: Service {
    /// Programs that run at the same time.
    static let parallel = 4
    /// Programs that wait to run.
    static let capacity = 256
    /// Seconds that programs have to end when the daemon stops.
    private static let grace = 5.0

    private struct Order: Sendable {
        var command: HookCommand
        var event: Event
    }
    private struct State {
        var hooks: [Hook]
        var queue: EventQueue?
        var isStopping = false
        var dropped = 0
        var lastWarning: ContinuousClock.Instant?
        var killer: Task<Void, Never>?
    }
    private let state: Mutex<State>
    private let hub: EventHub
    private let environment: [String: String]
    private let scratch: String
    private let running = RunningGroups()
    private let logger: Logger

    /// A runner for these hooks; programs find the daemon's socket in `UNLEARND_SOCKET`.
    init(_ hooks: [Hook], hub: EventHub, socket: String, scratch: String, logger: Logger) {
        state = Mutex(State(hooks: hooks))
        self.hub = hub
        self.scratch = scratch
        self.logger = logger
        environment = ["UNLEARND_SOCKET": socket]
    }

    /// Takes other hooks; what waits or runs already goes on.
    func replace(_ hooks: [Hook]) { state.withLock { $0.hooks = hooks } }

    /// Serves until the hub closes, and lets what runs end.
    func run() async throws {
        await withGracefulShutdownHandler {
            await serve()
        } onGracefulShutdown: {
            self.stop()
        }
        state.withLock(\.killer)?.cancel()
        try? await gracefulShutdown()
    }

    /// Starts nothing more, and ends what does not end in time.
    private func stop() {
        let killer = Task { [running] in
            try? await Task.sleep(for: .seconds(Self.grace))
            while !Task.isCancelled {
                running.kill()
                try? await Task.sleep(for: .milliseconds(100))
            }
        }
        let queue = state.withLock { state in
            state.isStopping = true
            state.killer = killer
            return state.queue
        }
        queue?.finish()
    }

    private func serve() async {
        let (orders, continuation) = AsyncStream.makeStream(
            of: Order.self, bufferingPolicy: .bufferingOldest(Self.capacity))
        async let listening: Void = listen(continuation)
        await withTaskGroup(of: Void.self) { group in
            var count = 0
            for await order in orders {
                if count == Self.parallel {
                    await group.next()
                    count -= 1
                }
                if state.withLock(\.isStopping) {
                    drop(order)
                    continue
                }
                group.addTask { await self.perform(order) }
                count += 1
            }
        }
        await listening
        let dropped = state.withLock(\.dropped)
        if dropped > 0 { logger.warning("hooks: \(dropped) runs were dropped since the start") }
    }

    /// Puts what hooks want into the queue, and never waits for anything but the next event.
    private func listen(_ orders: AsyncStream<Order>.Continuation) async {
        defer { orders.finish() }
        while let queue = subscribe() {
            while let event = await queue.next() {
                guard event.type != .lagged else {
                    logger.warning(
                        "hooks: events came faster than they could be looked at, and some were passed over")
                    break
                }
                for hook in state.withLock(\.hooks) where hook.wants(event) {
                    switch hook.action {
                    case .journal:
                        let text = (try? JSONValue(encoding: event))?.serializedString() ?? ""
                        logger.notice("event \(text)")
                    case .command(let command):
                        let order = Order(command: command, event: event)
                        if case .dropped = orders.yield(order) { drop(order) }
                    }
                }
            }
            if hub.isClosed { break }
        }
    }

    private func subscribe() -> EventQueue? {
        let (queue, _) = hub.subscribe(
            EventFilter(SubscribeParams(types: EventChoice.types.map(\.rawValue))))
        return state.withLock { state in
            guard !state.isStopping else { return nil }
            state.queue = queue
            return queue
        }
    }

    private func drop(_ order: Order) {
        let count: Int? = state.withLock { state in
            state.dropped += 1
            if let last = state.lastWarning, .now - last < .seconds(10) { return nil }
            state.lastWarning = .now
            return state.dropped
        }
        guard let count else { return }
        let run = "\(order.command.executable) was not run for event \(order.event.seq ?? 0)"
        logger.warning("hooks: \(run), too many wait already; \(count) runs were dropped since the start")
    }

    private func perform(_ order: Order) async {
        var variables = environment
        variables["UNLEARND_EVENT"] = order.event.type.rawValue
        let program = EventProgram(
            command: order.command, event: order.event, environment: variables, scratch: scratch,
            running: running)
        guard let end = await program.run() else { return }
        let text =
            "hook \(order.command.executable) for event \(order.event.seq ?? 0) (\(order.event.type.rawValue)) \(end.text)"
        if end.isFailure { logger.warning("\(text)") } else { logger.info("\(text)") }
    }
}
