// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// Ends a program that takes too long, with whatever it started in its process group.
final class ProgramWatch: Sendable {
    private let limit: Double
    private let patience: Double
    private let running: RunningGroups?
    private let state = Mutex<(group: pid_t?, timer: Task<Void, Never>?, wasKilled: Bool)>((nil, nil, false))

    /// A watch that asks the group to end after `limit` seconds, and kills it `patience` seconds later.
    init(limit: Double, patience: Double, running: RunningGroups?) {
        self.limit = limit
        self.patience = patience
        self.running = running
    }

    /// Watches the group from now on.
    func begin(_ group: pid_t) {
        running?.insert(group)
        let (limit, patience) = (limit, patience)
        let timer = Task { [weak self] in
            try? await Task.sleep(for: .seconds(limit))
            guard !Task.isCancelled else { return }
            self?.state.withLock { $0.wasKilled = true }
            kill(-group, SIGTERM)
            try? await Task.sleep(for: .seconds(patience))
            if !Task.isCancelled { kill(-group, SIGKILL) }
        }
        state.withLock { ($0.group, $0.timer) = (group, timer) }
    }

    /// The program has ended.
    /// - Returns: Whether it took too long. What it left running in its group is killed then.
    func end() -> Bool {
        let (group, timer, wasKilled) = state.withLock(\.self)
        timer?.cancel()
        guard let group else { return wasKilled }
        if wasKilled { kill(-group, SIGKILL) }
        running?.remove(group)
        return wasKilled
    }
}
