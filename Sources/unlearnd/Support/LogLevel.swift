// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization

/// What every logger of the process writes down to; may change while it runs.
final class LogLevel: Sendable {
    private let level: Mutex<Logger.Level>

    init(_ level: Logger.Level) { self.level = Mutex(level) }

    var current: Logger.Level {
        get { level.withLock(\.self) }
        set { level.withLock { $0 = newValue } }
    }
}
