// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol

/// A way to start a job's processes. However it is done, the order goes into the first one's standard input and its
/// messages come from its standard output, through the process that is started here.
protocol LaunchMethod: Sendable {
    /// Why it cannot be used on this machine; `nil` if it can.
    var fault: JobFailure? { get }

    /// Whether a process that was started may have to wait elsewhere before the worker begins.
    var canWait: Bool { get }

    /// What to run for a start of the worker's program.
    func command(_ worker: String, _ start: LaunchStart, environment: [String: String]) -> LaunchCommand

    /// Where the start is, each time that this changes, until the reader goes. Asked for before anything is started.
    func follow(_ start: LaunchStart) async -> AsyncStream<JobPlacement>

    /// Where a start that has ended was; `nil` where nobody but the daemon knows of it.
    func placement(_ start: LaunchStart) async -> JobPlacement?

    /// Ends all that was started, however far it has come; may be called again.
    func end(_ start: LaunchStart, _ process: pid_t)

    /// Why it ended, where the launcher knows that better than the worker's silence tells.
    /// - Parameters:
    ///   - hasBegun: Whether the worker has said anything.
    ///   - errors: The last lines of standard error.
    func failure(_ start: LaunchStart, hasBegun: Bool, errors: [Substring]) async -> JobFailure?
}

extension LaunchMethod {
    var fault: JobFailure? { nil }
    var canWait: Bool { false }
    func follow(_ start: LaunchStart) async -> AsyncStream<JobPlacement> { AsyncStream { $0.finish() } }
    func placement(_ start: LaunchStart) async -> JobPlacement? { nil }
    func failure(_ start: LaunchStart, hasBegun: Bool, errors: [Substring]) async -> JobFailure? { nil }

    func end(_ start: LaunchStart, _ process: pid_t) {
        // The group is there once the process has begun; the process itself from the beginning.
        _ = Glibc.kill(-process, SIGKILL)
        _ = Glibc.kill(process, SIGKILL)
    }
}

/// The worker itself, beside the daemon. It alone can be given descriptors.
struct LocalLauncher: LaunchMethod {
    func command(_ worker: String, _ start: LaunchStart, environment: [String: String]) -> LaunchCommand {
        LaunchCommand(path: worker, environment: environment)
    }
}
