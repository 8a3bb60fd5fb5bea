// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// Where the client's words go: files that are no files, and standard descriptors that are closed.
@Suite(.timeLimit(.minutes(15)))
struct CliFileTests {
    /// Runs a program by a shell, which closes or redirects descriptors as `redirections` say.
    private func shell(_ daemon: RunningDaemon, _ redirections: String, _ words: [String]) throws -> Int32 {
        try ChildProcess(
            "/bin/sh", ["-c", "exec \"$0\" \"$@\" \(redirections)"] + words,
            environment: ["PATH": "/usr/bin:/bin", "UNLEARND_SOCKET": daemon.socket],
            output: daemon.directory + "/shell.out", errors: daemon.directory + "/shell.err"
        ).wait()
    }

    private func withModel() throws -> RunningDaemon {
        let daemon = try RunningDaemon()
        let directory = daemon.directory + "/m"
        try SyntheticCheckpoint(seed: 1, matrices: 1, side: 8).write(to: directory)
        #expect(try daemon.ctl(["model", "import", "m", directory]).status == 0)
        return daemon
    }

    @Test func `what is for a closed output does not go to the daemon, and its loss is no success`() throws {
        let daemon = try withModel()
        let client = Products.path("unlearnctl")
        for redirections in [">&-", "<&- >&-", "<&- >&- 2>&-"] {
            for words in [["model", "list"], ["report", "1"], ["events", "--since", "1"]] {
                let status = try shell(daemon, redirections, [client] + words)
                #expect(status == ExitCode.storage.rawValue, "\(redirections) \(words)")
            }
        }
        #expect(try shell(daemon, "<&- 2>&-", [client, "model", "list", "--quiet"]) == 0)
        #expect(try String(contentsOfFile: daemon.directory + "/shell.out", encoding: .utf8) == "m\n")
        // Input that is closed cannot be read, and is not somebody else's.
        let prompts = try shell(daemon, "<&-", [client, "generate", "m", "--prompts", "-"])
        #expect(prompts == ExitCode.badInput.rawValue)
    }

    @Test func `a daemon that was started without descriptors opens nothing in their place`() throws {
        let daemon = try withModel()
        #expect(try daemon.stop() == 0)
        let process = try ChildProcess(
            "/bin/sh",
            [
                "-c", "exec \"$0\" \"$@\" <&- >&- 2>&-", Products.path("unlearnd"), "--state-directory",
                daemon.state, "--socket", daemon.socket,
            ], environment: ["PATH": "/usr/bin:/bin", "HOME": daemon.directory],
            output: "/dev/null", errors: "/dev/null")
        try daemon.eventually("it answers") { (try? daemon.ctl(["system", "ping"]).status) == 0 }
        for number in 0...2 {
            let target = try FileManager.default.destinationOfSymbolicLink(
                atPath: "/proc/\(process.pid)/fd/\(number)")
            #expect(target == "/dev/null", "\(number)")
        }
        #expect(try daemon.ctl(["store", "verify"]).status == 0)
        process.signal(SIGTERM)
        #expect(try process.wait() == 0)
    }

    @Test func `a report goes into a pipe or device and replaces neither, and takes the place of a link`()
        throws
    {
        let daemon = try withModel()
        let (file, link, pipe) = (
            daemon.directory + "/file", daemon.directory + "/link", daemon.directory + "/pipe"
        )
        try "old".write(toFile: file, atomically: false, encoding: .utf8)
        #expect(symlink(file, link) == 0 && mkfifo(pipe, 0o600) == 0)
        #expect(try daemon.ctl(["report", "1", "--html", link]).status == 0)
        #expect(try String(contentsOfFile: link, encoding: .utf8).hasPrefix("<!DOCTYPE html>"))
        #expect(try String(contentsOfFile: file, encoding: .utf8) == "old")

        let reader = try ChildProcess(
            "/bin/cat", [pipe], environment: [:], output: daemon.directory + "/read", errors: "/dev/null")
        #expect(try daemon.ctl(["report", "1", "--markdown", pipe]).status == 0)
        #expect(try reader.wait() == 0)
        #expect(try String(contentsOfFile: daemon.directory + "/read", encoding: .utf8).hasPrefix("# Report"))
        var status = stat()
        #expect(lstat(pipe, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO)

        let full = try daemon.ctl(["report", "1", "--html", "/dev/full"])
        #expect(
            full.status == ExitCode.storage.rawValue && full.stderr.contains("/dev/full"), "\(full.stderr)")
        #expect(stat("/dev/full", &status) == 0 && status.st_mode & S_IFMT == S_IFCHR)
        let folder = try daemon.ctl(["report", "1", "--html", daemon.directory])
        #expect(folder.status == ExitCode.storage.rawValue, "\(folder.stderr)")
    }
}
