// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// What the daemon and a service manager tell each other: that it serves, reloads, lives, works and stops; and sockets that
/// the manager holds. `make test-system` tries the same with systemd itself.
@Suite(.timeLimit(.minutes(15)))
struct SystemdTests {
    /// A daemon that has stopped, and where it will tell how it is.
    private func stopped() throws -> (RunningDaemon, NotifySocket, [String: String]) {
        let daemon = try RunningDaemon()
        try daemon.stop()
        let path = daemon.directory + "/notify"
        return (daemon, try NotifySocket(path), ["NOTIFY_SOCKET": path])
    }

    /// The sockets that a manager holds for a daemon.
    private func sockets(of daemon: RunningDaemon) throws -> [BoundSocket] {
        [
            try BoundSocket(daemon.directory + "/s.fd.sock", type: SOCK_SEQPACKET),
            try BoundSocket(daemon.socket),
        ]
    }

    @Test func `the manager is told when the daemon serves, reloads and stops`() throws {
        let (daemon, manager, environment) = try stopped()
        try daemon.start(environment: environment)
        #expect(manager.next()?.hasPrefix("READY=1\nSTATUS=listening on ") == true)
        var before = timespec()
        clock_gettime(CLOCK_MONOTONIC, &before)
        daemon.process?.signal(SIGHUP)
        let begins = manager.next()?.split(separator: "\n").map(String.init) ?? []
        #expect(begins.first == "RELOADING=1")
        let stamp = begins.first { $0.hasPrefix("MONOTONIC_USEC=") }.flatMap { Int($0.dropFirst(15)) } ?? 0
        #expect(stamp >= before.tv_sec * 1_000_000 + before.tv_nsec / 1000)
        #expect(manager.next() == "READY=1")
        #expect(try daemon.stop() == 0)
        #expect(manager.next()?.hasPrefix("STOPPING=1\n") == true)
    }

    @Test func `the status says what runs and what waits`() throws {
        let (daemon, manager, environment) = try stopped()
        try daemon.start(environment: environment)
        #expect(manager.next()?.hasPrefix("READY=1\n") == true)
        #expect(
            try daemon.ctl([
                "model", "create", "people", "--config", ExampleModel.path("config.json"), "--tokenizer",
                ExampleModel.path("tokenizer.json"),
            ]).status == 0)
        let rows = daemon.directory + "/rows.jsonl"
        try ExampleModel.rows("retain.jsonl", 16).write(toFile: rows, atomically: false, encoding: .utf8)
        for more in [["--hold"], []] {
            let output = try daemon.ctl(
                [
                    "submit", "finetune", "--model", "people", "--data", rows, "--epochs", "4000",
                    "--no-evaluate",
                ]
                    + more)
            #expect(output.status == 0, "\(output.stderr)")
        }
        var said: [String] = []
        while said.count < 50, let line = manager.next() {
            said.append(line)
            if line.contains("edit") { break }
        }
        let last = try #require(said.last)
        #expect(last.hasPrefix("STATUS=1 running (job 3, edit "), "\(said)")
        #expect(last.hasSuffix(" %); 1 held"), "\(said)")
        #expect(try daemon.ctl(["cancel", "3"]).status == 0)
        while said.count < 100, let line = manager.next() {
            said.append(line)
            if line == "STATUS=1 held" { break }
        }
        #expect(said.last == "STATUS=1 held", "\(said)")
    }

    @Test func `signs of life come only while the database answers`() throws {
        let (daemon, manager, environment) = try stopped()
        try daemon.start(environment: environment.merging(["WATCHDOG_USEC": "400000"]) { $1 })
        var alive = 0
        while alive < 3, let line = manager.next() { if line == "WATCHDOG=1" { alive += 1 } }
        #expect(alive == 3)
        // Whoever holds the readers' places of the write-ahead log's index keeps everybody from reading.
        let index = open(daemon.state + "/unlearnd.sqlite-shm", O_RDWR | O_CLOEXEC)
        defer { close(index) }
        var lock = flock(
            l_type: Int16(F_WRLCK), l_whence: Int16(SEEK_SET), l_start: 120, l_len: 8, l_pid: 0)
        try daemon.eventually("the places are free") { fcntl(index, F_SETLK, &lock) == 0 }
        while manager.next(seconds: 1) == "WATCHDOG=1" {}
        #expect(manager.next(seconds: 2) == nil)
        lock.l_type = Int16(F_UNLCK)
        #expect(fcntl(index, F_SETLK, &lock) == 0)
        #expect(manager.next() == "WATCHDOG=1")
        #expect(try daemon.stop() == 0)
    }

    @Test func `a watchdog of another process is not fed`() throws {
        let (daemon, manager, environment) = try stopped()
        try daemon.start(
            environment: environment.merging(["WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"]) { $1 })
        #expect(manager.next()?.hasPrefix("READY=1\n") == true)
        #expect(manager.next(seconds: 1) == nil)
    }

    @Test
    func `who connects to sockets that the manager holds waits for the daemon instead of being refused`()
        throws
    {
        let (daemon, _, _) = try stopped()
        let held = try sockets(of: daemon)
        defer { withExtendedLifetime(held) {} }
        let early = try daemon.connect()
        try daemon.start(sockets: held.map(\.descriptor))
        _ = try early.greet()
        #expect(try early.request("system.ping")["result"] != nil)
        // Over the other one too.
        try SyntheticCheckpoint(seed: 1, matrices: 1, side: 16).write(to: daemon.directory + "/model")
        let imported = try daemon.ctl(["model", "import", "small", daemon.directory + "/model"])
        #expect(imported.status == 0, "\(imported.stderr)")
        // Neither a kill nor an orderly end takes the paths away.
        try daemon.kill()
        let between = try daemon.connect()
        try daemon.start(sockets: held.map(\.descriptor))
        _ = try between.greet()
        #expect(try daemon.stop() == 0)
        let late = try daemon.connect()
        try daemon.start(sockets: held.map(\.descriptor))
        _ = try late.greet()
    }

    @Test func `sockets that are not the ones wanted stop the start, with the reason`() throws {
        let (daemon, _, _) = try stopped()
        let held = try sockets(of: daemon)
        let elsewhere = try BoundSocket(daemon.directory + "/elsewhere.sock")
        defer { withExtendedLifetime((held, elsewhere)) {} }
        let file = open("/dev/null", O_RDONLY | O_CLOEXEC)
        defer { close(file) }
        for (given, words) in [
            ([held[0].descriptor], "systemd gave 1 sockets instead of 2"),
            ([held[1].descriptor, elsewhere.descriptor], "not a socket that is wanted"),
            ([held[1].descriptor, file], "not a socket that is wanted"),
            (
                [held[0].descriptor, elsewhere.descriptor],
                "elsewhere.sock, but the configuration says \(daemon.socket)"
            ),
        ] {
            let process = try daemon.spawn(sockets: given)
            #expect(try process.wait() == ExitCode.configuration.rawValue)
            #expect(daemon.log.contains(words), "\(daemon.log)")
        }
    }

    @Test func `what jobs may use follows the limit of the control group`() throws {
        let groups = try String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8).split(separator: "\n")
            .map { $0.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false) }
        // Of the controller's own hierarchy, or of the unified one.
        let own = groups.first { $0[1].split(separator: ",").contains("memory") }
        let parent = own.map { "/sys/fs/cgroup/memory\($0[2])" } ?? "/sys/fs/cgroup\(groups.last?[2] ?? "")"
        let group = "\(parent)/unlearnd-test-\(getpid())"
        let limit = group + (own == nil ? "/memory.max" : "/memory.limit_in_bytes")
        guard mkdir(group, 0o755) == 0 || errno == EEXIST, access(limit, W_OK) == 0 else {
            rmdir(group)
            print("skipped: no control group with a limit of memory can be made in \(parent)")
            return
        }
        defer { rmdir(group) }
        try "\(1 << 30)".write(toFile: limit, atomically: false, encoding: .utf8)
        let daemon = try RunningDaemon()
        let before = try daemon.session().result(SystemInfo.self, "system.info").memoryLimit
        #expect(before > 1 << 30)
        try "\(daemon.process?.pid ?? 0)".write(
            toFile: group + "/cgroup.procs", atomically: false, encoding: .utf8)
        daemon.process?.signal(SIGHUP)
        try daemon.eventually("the limit is 80 % of 1 GiB") {
            try daemon.session().result(SystemInfo.self, "system.info").memoryLimit == (1 << 30) / 10 * 8
        }
        #expect(try daemon.stop() == 0)
    }
}
