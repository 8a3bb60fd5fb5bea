// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol

/// One run of a hook's program for one event, which it reads from its standard input as a line of JSON.
struct EventProgram: Sendable {
    let command: HookCommand
    let event: Event
    /// What it finds in its environment.
    let environment: [String: String]
    /// A folder that only the daemon can read.
    let scratch: String
    /// Where its process group stands while it runs.
    let running: RunningGroups

    /// Runs it to its end; the group of a program that takes too long is killed.
    /// - Returns: What is worth telling; `nil` when it succeeded without a word.
    func run() async -> (isFailure: Bool, text: String)? {
        guard let input = input() else {
            return (true, "was not run: the event cannot be written to \(scratch)")
        }
        defer { close(input) }
        guard let output = OutputTail() else { return (true, "was not run: no descriptors are left") }
        let fault = await command.run(environment, input: input, output: output.writer, running: running)
        close(output.writer)
        let (text, bytes) = output.finish()
        let words = text.split(whereSeparator: \.isNewline).joined(separator: " | ")
        let said = words.isEmpty ? "" : ": \(bytes > OutputTail.kept ? "… " : "")\(words)"
        if let fault { return (true, fault + said) }
        return said.isEmpty ? nil : (false, "said\(said)")
    }

    /// The event in a file that is gone once it is closed: a program that does not read it cannot make the daemon wait,
    /// as it could at a pipe.
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
