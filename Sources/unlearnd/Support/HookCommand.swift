// SPDX-License-Identifier: Apache-2.0

import Glibc
import Subprocess
import SystemPackage

/// A program of the operator's that the daemon runs after something has happened: no shell, nothing inherited, and not
/// for ever.
///
/// What it writes goes to the daemon's standard error, and so to the journal.
package struct HookCommand: Hashable, Sendable {
    /// Absolute path.
    package var executable: String
    package var arguments: [String]
    /// Seconds after which it is killed, with whatever it started in its group.
    package var limit: Double

    /// A command.
    package init(executable: String, arguments: [String] = [], limit: Double = 60) {
        self.executable = executable
        self.arguments = arguments
        self.limit = limit
    }

    /// Why the program must not be run: whoever may write it, or rename another one into its place, would run as the
    /// daemon. `nil` when nothing speaks against it.
    package var fault: String? {
        do {
            _ = try TrustedProgram.resolve(executable)
            return nil
        } catch { return "\(error.message) (\(error.hint))" }
    }

    /// Runs it to its end.
    ///
    /// - Parameter environment: Added to a minimal one: `PATH` and `LANG`.
    /// - Returns: What went wrong; `nil` for exit status 0.
    package func run(_ environment: [String: String]) async -> String? {
        if let fault { return "the hook was not run: \(fault)" }
        let variables = [
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8",
        ]
        .merging(environment) { $1 }
        var options = PlatformOptions()
        options.processGroupID = 0
        let limit = limit
        do {
            let result = try await Subprocess.run(
                .path(FilePath(executable)), arguments: Arguments(arguments),
                environment: .custom(
                    Dictionary(
                        uniqueKeysWithValues: variables.map {
                            (Environment.Key(stringLiteral: $0.key), $0.value)
                        })),
                workingDirectory: "/", platformOptions: options, input: .none,
                output: .fileDescriptor(.standardError, closeAfterSpawningProcess: false),
                error: .fileDescriptor(.standardError, closeAfterSpawningProcess: false)
            ) { execution in
                await Self.watch(execution.processIdentifier.value, seconds: limit)
            }
            switch result.terminationStatus {
            case .exited(0): return nil
            case .exited(let code): return "the hook exited with status \(code)"
            case .signaled where result.closureResult:
                return "the hook did not end within \(limit.formatted) s and was killed"
            case .signaled(let signal): return "the hook was killed by signal \(signal)"
            }
        } catch {
            return "the hook cannot be run: \(error)"
        }
    }

    /// Waits until the process has ended, without collecting it, and kills its group when the time is over.
    /// - Returns: Whether it was killed.
    private static func watch(_ process: pid_t, seconds: Double) async -> Bool {
        let end = ContinuousClock.now + .seconds(seconds)
        while true {
            var information = siginfo_t()
            let result = waitid(P_PID, id_t(process), &information, WEXITED | WNOHANG | WNOWAIT)
            // Its number is set only when there is something to collect.
            if result != 0 || information._sifields._kill.si_pid == process { return false }
            guard ContinuousClock.now < end else {
                _ = kill(-process, SIGKILL)
                _ = kill(process, SIGKILL)
                return true
            }
            try? await Task.sleep(for: .milliseconds(20))
        }
    }
}

extension Double {
    fileprivate var formatted: String { self == rounded() ? "\(Int(self))" : "\(self)" }
}
