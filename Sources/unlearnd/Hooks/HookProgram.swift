// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol
import Subprocess
import Synchronization
import SystemPackage

/// One run of a hook's program.
struct HookProgram: Sendable {
    /// Seconds from asking a program to end to killing it.
    private static let patience = 2.0

    /// The absolute path and the arguments.
    let command: [String]
    let event: Event
    /// Seconds that it may take.
    let timeout: Double
    /// What it finds in its environment.
    let environment: [String: String]
    /// A folder that only the daemon can read.
    let scratch: String
    /// Where its process group stands while it runs.
    let running: RunningGroups

    /// Runs it to its end; the group of a program that takes too long is killed.
    /// - Returns: What is worth telling; `nil` when it succeeded without a word.
    func run() async -> (isFailure: Bool, text: String)? {
        let path: String
        // Again: the file may have changed since the configuration was read.
        do { path = try TrustedProgram.resolve(command[0]) } catch {
            return (true, "was not run: \(error.message); \(error.hint)")
        }
        guard let input = input() else {
            return (true, "was not run: the event cannot be written to \(scratch)")
        }
        guard let output = OutputTail() else {
            close(input)
            return (true, "was not run: no descriptors are left")
        }
        let errors = fcntl(output.writer, F_DUPFD_CLOEXEC, 3)
        var options = PlatformOptions()
        options.processGroupID = 0
        let variables = Dictionary(
            uniqueKeysWithValues: environment.map { (Environment.Key(stringLiteral: $0.key), $0.value) })
        let start = ContinuousClock.now
        let watch = Watch(running: running)
        do {
            let result = try await Subprocess.run(
                .path(FilePath(path)), arguments: Arguments(Array(command.dropFirst())),
                environment: .custom(variables), workingDirectory: "/", platformOptions: options,
                input: .fileDescriptor(FileDescriptor(rawValue: input), closeAfterSpawningProcess: true),
                output: .fileDescriptor(
                    FileDescriptor(rawValue: output.writer), closeAfterSpawningProcess: true),
                error: .fileDescriptor(FileDescriptor(rawValue: errors), closeAfterSpawningProcess: true)
            ) { [timeout] execution in
                watch.begin(execution.processIdentifier.value, timeout: timeout, patience: Self.patience)
            }
            let wasKilled = watch.end()
            let (text, bytes) = output.finish()
            let words = text.split(whereSeparator: \.isNewline).joined(separator: " | ")
            let said = words.isEmpty ? "" : ": \(bytes > OutputTail.kept ? "… " : "")\(words)"
            if wasKilled {
                return (
                    true, "was killed after \(Int((ContinuousClock.now - start).components.seconds)) s\(said)"
                )
            }
            if !result.terminationStatus.isSuccess {
                return (true, "ended with \(result.terminationStatus)\(said)")
            }
            return said.isEmpty ? nil : (false, "said\(said)")
        } catch {
            _ = watch.end()
            _ = output.finish()
            return (true, "was not run: \(error)")
        }
    }

    /// The event as one line of JSON, in a file that is gone once it is closed: a program that does not read it cannot
    /// make the daemon wait, as it could at a pipe.
    private func input() -> Int32? {
        guard var text = try? JSONValue(encoding: event).serialized() else { return nil }
        text.append(0x0A)
        let path = "\(scratch)/hook-\(RandomToken.make())"
        let file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { return nil }
        unlink(path)
        guard write(file, text, text.count) == text.count, lseek(file, 0, SEEK_SET) == 0 else {
            close(file)
            return nil
        }
        return file
    }
}

/// Ends a program that takes too long.
private final class Watch: Sendable {
    private let running: RunningGroups
    private let state = Mutex<(group: pid_t?, timer: Task<Void, Never>?, wasKilled: Bool)>((nil, nil, false))

    init(running: RunningGroups) { self.running = running }

    func begin(_ group: pid_t, timeout: Double, patience: Double) {
        running.insert(group)
        let timer = Task { [weak self] in
            try? await Task.sleep(for: .seconds(timeout))
            guard !Task.isCancelled else { return }
            self?.state.withLock { $0.wasKilled = true }
            kill(-group, SIGTERM)
            try? await Task.sleep(for: .seconds(patience))
            if !Task.isCancelled { kill(-group, SIGKILL) }
        }
        state.withLock { ($0.group, $0.timer) = (group, timer) }
    }

    /// - Returns: Whether it took too long. What it left running in its group is killed then.
    func end() -> Bool {
        let (group, timer, wasKilled) = state.withLock(\.self)
        timer?.cancel()
        guard let group else { return wasKilled }
        if wasKilled { kill(-group, SIGKILL) }
        running.remove(group)
        return wasKilled
    }
}
