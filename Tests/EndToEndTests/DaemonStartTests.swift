// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// How the daemon starts, refuses to start, and ends.
struct DaemonStartTests {
    /// Runs a daemon that must refuse, and gives its last words.
    private func refusal(_ daemon: RunningDaemon, _ arguments: [String], environment: [String: String] = [:])
        throws -> String
    {
        let errors = daemon.directory + "/refusal"
        var variables = ["PATH": "/usr/bin:/bin", "HOME": daemon.directory]
        variables.merge(environment) { $1 }
        let process = try ChildProcess(
            Products.path("unlearnd"), arguments, environment: variables, output: daemon.directory + "/null",
            errors: errors)
        #expect(try process.wait() == 78)
        defer { try? FileManager.default.removeItem(atPath: errors) }
        return try String(contentsOfFile: errors, encoding: .utf8)
    }

    @Test func `a second daemon on the same state or socket is refused and told who holds it`() throws {
        let daemon = try RunningDaemon()
        let state = try refusal(
            daemon, ["--state-directory", daemon.state, "--socket", daemon.directory + "/t.sock"])
        #expect(state.contains("process \(daemon.process?.pid ?? 0)"))
        let socket = try refusal(
            daemon, ["--state-directory", daemon.directory + "/other", "--socket", daemon.socket])
        #expect(socket.contains(daemon.socket))
        #expect(try daemon.session().request("system.ping")["result"] != nil)
    }

    @Test func `wrong configurations are refused in clear words`() throws {
        let daemon = try RunningDaemon()
        let state = daemon.directory + "/other"
        let file = daemon.directory + "/c.yaml"
        func configured(_ text: String) throws -> String {
            try text.write(toFile: file, atomically: false, encoding: .utf8)
            return try refusal(
                daemon,
                ["--config", file, "--state-directory", state, "--socket", daemon.directory + "/o.sock"])
        }
        #expect(try configured("paralel: 3\n").contains("did you mean \"parallel\"?"))
        #expect(try configured("# fine\nthreads: many\n").contains("threads"))
        #expect(try configured("memory_limit: 8 quarts\n").contains("memory_limit"))
        #expect(try configured("log_level: loud\n").contains("log_level"))
        #expect(try configured("# fine\nparallel:\n  deep: 3\n").contains("line 2: parallel is"))
        #expect(try configured("- a\n").contains("line 1"))
        #expect(try configured("admin_users: a,,b\n").contains("admin_users"))
        #expect(try configured("viewer_users: nobody-of-this-name\n").contains("viewer_users"))
        #expect(try refusal(daemon, ["--config", "/nonexistent.yaml"]).contains("/nonexistent.yaml"))
        let long = "/tmp/" + String(repeating: "x", count: 110)
        #expect(try refusal(daemon, ["--state-directory", state, "--socket", long]).contains("107"))
        #expect(
            try refusal(daemon, ["--state-directory", state], environment: ["UNLEARND_SOCKET": long])
                .contains("107"))
        try "x".write(toFile: daemon.directory + "/plain", atomically: false, encoding: .utf8)
        #expect(
            try refusal(daemon, ["--state-directory", state, "--socket", daemon.directory + "/plain"])
                .contains("no socket"))
        #expect(try String(contentsOfFile: daemon.directory + "/plain", encoding: .utf8) == "x")
    }

    @Test func `flags win over the environment, that over the file`() throws {
        let daemon = try RunningDaemon()
        #expect(try daemon.stop() == 0)
        let file = daemon.directory + "/c.yaml"
        try "threads: 3\nparallel: 2\n".write(toFile: file, atomically: false, encoding: .utf8)
        try daemon.start(environment: ["UNLEARND_CONFIG": file])
        #expect(try daemon.session().result(SystemInfo.self, "system.info").threads == 3)
        #expect(try daemon.stop() == 0)
        try daemon.start(environment: [
            "UNLEARND_CONFIG": file, "UNLEARND_THREADS": "5", "UNLEARND_STATE_DIRECTORY": "/nonexistent",
        ])
        let info: SystemInfo = try daemon.session().result("system.info")
        #expect(info.threads == 5)
        #expect(info.stateDirectory == daemon.state)
        #expect(try daemon.stop() == 0)
        // As the package installs it: every key commented out.
        try "# threads: 3\n\n#parallel: 2\n".write(toFile: file, atomically: false, encoding: .utf8)
        try daemon.start(environment: ["UNLEARND_CONFIG": file, "UNLEARND_THREADS": "7"])
        #expect(try daemon.session().result(SystemInfo.self, "system.info").threads == 7)
    }

    @Test func `after a kill the next daemon takes over the socket as another instance`() throws {
        let daemon = try RunningDaemon()
        let first: SystemInfo = try daemon.session().result("system.info")
        try daemon.kill()
        #expect(access(daemon.socket, F_OK) == 0)
        try daemon.start()
        let second: SystemInfo = try daemon.session().result("system.info")
        #expect(first.instance != second.instance)
    }

    @Test func `an asked-for end is clean: clients are let go, the sockets are gone`() throws {
        let daemon = try RunningDaemon()
        let idle = try daemon.session()
        let listener = try daemon.session()
        let _: SubscribeResult = try listener.result("events.subscribe")
        #expect(try daemon.stop() == 0)
        #expect(try idle.isHungUp())
        #expect(try listener.isHungUp())
        #expect(access(daemon.socket, F_OK) != 0)
        #expect(daemon.log.contains("stopped"))
    }

    @Test func `nobody else may reach the sockets and the state`() throws {
        let daemon = try RunningDaemon()
        for path in [
            daemon.socket, daemon.directory + "/s.fd.sock", daemon.state, daemon.state + "/unlearnd.sqlite",
        ] {
            var status = stat()
            #expect(stat(path, &status) == 0, "\(path)")
            #expect(status.st_mode & 0o007 == 0, "\(path)")
        }
    }

    @Test func `the program explains itself`() throws {
        let daemon = try RunningDaemon()
        let output = daemon.directory + "/version"
        let process = try ChildProcess(
            Products.path("unlearnd"), ["--version"], environment: [:], output: output,
            errors: output + ".err")
        #expect(try process.wait() == 0)
        #expect(try String(contentsOfFile: output, encoding: .utf8) == Software.version + "\n")
    }
}
