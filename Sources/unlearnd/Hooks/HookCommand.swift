// SPDX-License-Identifier: Apache-2.0

import Glibc
import Subprocess
import SystemPackage

/// A program of the operator's that the daemon runs after something has happened: no shell, nothing inherited, and not
/// for ever.
package struct HookCommand: Hashable, Sendable {
    /// Seconds from asking a program to end to killing it.
    private static let patience = 2.0

    /// Absolute path.
    package var executable: String
    package var arguments: [String]
    /// Seconds after which it is asked to end, and soon killed, with whatever it started in its group.
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

    /// Runs it to its end; what it writes goes to the daemon's standard error, and so to the journal.
    ///
    /// - Parameter environment: Added to a minimal one: `PATH` and `LANG`.
    /// - Returns: What went wrong; `nil` for exit status 0.
    package func run(_ environment: [String: String]) async -> String? {
        await run(environment, input: nil, output: STDERR_FILENO, running: nil)
    }

    /// Runs it to its end.
    ///
    /// - Parameters:
    ///   - environment: Added to a minimal one: `PATH` and `LANG`.
    ///   - input: What it reads: a descriptor, which stays open; nothing at all for `nil`.
    ///   - output: Where both of its outputs go: a descriptor, which stays open.
    ///   - running: Where its process group stands while it runs.
    /// - Returns: What went wrong; `nil` for exit status 0.
    func run(
        _ environment: [String: String], input: Int32?, output: Int32, running: RunningGroups?
    ) async -> String? {
        // Again: the file may have changed since the configuration was read.
        if let fault { return "was not run: \(fault)" }
        let variables = [
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8",
        ]
        .merging(environment) { $1 }
        let source = input ?? open("/dev/null", O_RDONLY | O_CLOEXEC)
        guard source >= 0 else { return "was not run: no descriptors are left" }
        defer { if input == nil { close(source) } }
        var options = PlatformOptions()
        options.processGroupID = 0
        let watch = ProgramWatch(limit: limit, patience: Self.patience, running: running)
        do {
            let result = try await Subprocess.run(
                .path(FilePath(executable)), arguments: Arguments(arguments),
                environment: .custom(
                    Dictionary(
                        uniqueKeysWithValues: variables.map {
                            (Environment.Key(stringLiteral: $0.key), $0.value)
                        })),
                workingDirectory: "/", platformOptions: options,
                input: .fileDescriptor(FileDescriptor(rawValue: source), closeAfterSpawningProcess: false),
                output: .fileDescriptor(FileDescriptor(rawValue: output), closeAfterSpawningProcess: false),
                error: .fileDescriptor(FileDescriptor(rawValue: output), closeAfterSpawningProcess: false)
            ) { execution in
                watch.begin(execution.processIdentifier.value)
            }
            if watch.end() { return "did not end within \(limit.formatted) s and was killed" }
            switch result.terminationStatus {
            case .exited(0): return nil
            case .exited(let code): return "exited with status \(code)"
            case .signaled(let signal): return "was killed by signal \(signal)"
            }
        } catch {
            _ = watch.end()
            return "was not run: \(error)"
        }
    }
}

extension Double {
    fileprivate var formatted: String { self == rounded() ? "\(Int(self))" : "\(self)" }
}
