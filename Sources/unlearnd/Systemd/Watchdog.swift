// SPDX-License-Identifier: Apache-2.0

import Glibc
import Logging
import NIOCore
import ServiceLifecycle

/// Tells systemd that the daemon lives, twice in the time that the unit allows (`WatchdogSec=`, sd_watchdog_enabled(3)).
///
/// It says so only after every event loop and the database have answered, so that a daemon whose parts hang is started
/// again, even if a timer in it still runs.
struct Watchdog: Service {
    /// Between two signs of life.
    let interval: Duration
    let manager: ServiceManager
    let loops: any EventLoopGroup
    let database: StateDatabase
    let logger: Logger

    /// `nil` where the unit wants none, or wants it of another process.
    init?(
        environment: [String: String], manager: ServiceManager, loops: any EventLoopGroup,
        database: StateDatabase, logger: Logger
    ) {
        guard let interval = Self.interval(environment, pid: getpid()) else { return nil }
        (self.interval, self.manager, self.loops) = (interval, manager, loops)
        (self.database, self.logger) = (database, logger)
    }

    /// Half of what `WATCHDOG_USEC` allows `pid`.
    static func interval(_ environment: [String: String], pid: pid_t) -> Duration? {
        guard let text = environment["WATCHDOG_USEC"], let allowed = Int64(text), allowed > 1 else {
            return nil
        }
        if let wanted = environment["WATCHDOG_PID"], wanted != "\(pid)" { return nil }
        return .microseconds(allowed / 2)
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do {
                    try await ask()
                    manager.alive()
                } catch {
                    logger.error("no sign of life for systemd: the database does not answer: \(error)")
                }
                try? await Task.sleep(for: interval)
            }
        }
    }

    private func ask() async throws {
        for loop in loops.makeIterator() { try await loop.submit {}.get() }
        try await database.answer()
    }
}
