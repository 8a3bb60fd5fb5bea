// SPDX-License-Identifier: Apache-2.0

import Dispatch

/// Asks systemd for more time while the daemon starts: checking a large database, or bringing it up to date, may take
/// longer than `TimeoutStartSec=`, and a start that is killed in it would begin anew.
///
/// It ends by itself after ``longest``, so that a start that hangs is still found.
final class StartupPatience: @unchecked Sendable {
    /// How long a start may take in all.
    static let longest = 3600
    /// Between two requests, each of which asks for twice as much.
    static let interval = 20

    private let timer: any DispatchSourceTimer

    /// Asks until ``end()``.
    init(_ manager: ServiceManager) {
        timer = DispatchSource.makeTimerSource(queue: .global(qos: .utility))
        let end = ContinuousClock.now + .seconds(Self.longest)
        timer.schedule(deadline: .now() + .seconds(Self.interval), repeating: .seconds(Self.interval))
        timer.setEventHandler { [timer] in
            guard ContinuousClock.now < end else { return timer.cancel() }
            manager.extendTimeout(seconds: 2 * Self.interval)
            manager.status("starting: the state is checked and brought up to date")
        }
        timer.activate()
        if !manager.isThere { timer.cancel() }
    }

    /// The start is over.
    func end() { timer.cancel() }
}
