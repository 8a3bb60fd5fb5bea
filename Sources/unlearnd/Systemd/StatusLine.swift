// SPDX-License-Identifier: Apache-2.0

import Protocol
import ServiceLifecycle

/// Keeps the line of `systemctl status` true: what runs, how far it is, and how much waits.
struct StatusLine: Service {
    /// Shortest time between two lines.
    private static let pause = Duration.seconds(1)

    let control: ControlPlane
    let manager: ServiceManager
    /// What the line says while there is nothing to do.
    let idle: String

    func run() async throws {
        guard manager.isThere else {
            try? await gracefulShutdown()
            return
        }
        await cancelWhenGracefulShutdown {
            // What was said when the daemon was ready.
            var last = idle
            while !Task.isCancelled {
                // Anew after each line, so that what comes meanwhile is neither queued nor missed.
                let (events, _) = control.hub.subscribe(EventFilter(SubscribeParams()))
                if let line = await line(), line != last {
                    manager.status(line)
                    last = line
                }
                try? await Task.sleep(for: Self.pause)
                _ = await events.next()
                events.finish()
                if control.hub.isClosed { return }
            }
        }
    }

    /// The line of this moment; `nil` if the database does not answer, which is the watchdog's matter.
    private func line() async -> String? {
        guard let status = try? await control.queueStatus() else { return nil }
        return Self.text(
            status, progress: status.running.first.flatMap { control.hub.progress(of: $0) }, idle: idle)
    }

    /// - Parameters:
    ///   - progress: Of the first running job.
    ///   - idle: What is said while no job runs or waits.
    static func text(_ status: QueueStatus, progress: JobProgress?, idle: String) -> String {
        var parts: [String] = []
        if let first = status.running.first {
            var job = "job \(first)"
            if let progress, let total = progress.total, total > 0 {
                job += ", \(progress.phase) \(Int(min(progress.done / total, 1) * 100)) %"
            }
            parts.append("\(status.running.count) running (\(job))")
        }
        for (state, word) in [
            (JobState.queued, "queued"), (.blocked, "blocked"), (.held, "held"), (.paused, "paused"),
        ] {
            if let count = status.jobs[state.rawValue], count > 0 { parts.append("\(count) \(word)") }
        }
        if status.paused { parts.append("the queue is paused") }
        return parts.isEmpty ? idle : parts.joined(separator: "; ")
    }
}
