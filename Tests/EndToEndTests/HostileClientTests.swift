// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// Clients that mean harm, in numbers: the daemon stays the same process, answers others, and keeps nothing of theirs.
/// Single lines that break a rule are in `ProtocolFramingTests`, what a fuzzer finds in `scripts/fuzz`.
@Suite(.timeLimit(.minutes(15)), .serialized)
struct HostileClientTests {
    /// Lets this process open as many files as it may.
    init() {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    private func ping(_ connection: RawConnection) throws -> Double {
        let begin = ContinuousClock.now
        #expect(try connection.request("system.ping")["result"] != nil)
        let time = ContinuousClock.now - begin
        return Double(time.components.seconds) + Double(time.components.attoseconds) / 1e18
    }

    @Test func `a flood of connections that never answer the greeting is bounded, and gone after a while`()
        throws
    {
        let daemon = try RunningDaemon()
        let mine = try daemon.session()
        let descriptors = daemon.openDescriptors
        var flood: [RawConnection] = []
        var refused: JSONValue?
        while refused == nil, flood.count < 5000 {
            guard let connection = try? daemon.connect() else { break }
            flood.append(connection)
            let first = try connection.line()
            if first?["method"] != "hello" { refused = first?["error"]?["data"]?["kind"] }
        }
        #expect(refused == "queue_full")
        #expect(flood.count > 500 && flood.count <= 2049)
        // Who was there before is served as ever.
        #expect(try ping(mine) < 1)
        // Nobody hangs up on their side: the daemon does, ten seconds after its greeting.
        try daemon.eventually("half-open connections are closed", seconds: 60) {
            daemon.openDescriptors <= descriptors + 8
        }
        #expect(try ping(daemon.session()) < 1)
        #expect(try flood[0].isHungUp())
    }

    @Test func `clients that come and go at once leave nothing`() throws {
        let daemon = try RunningDaemon()
        let descriptors = daemon.openDescriptors
        for round in 0..<2000 {
            let connection = try daemon.connect()
            if round % 3 == 0 { try connection.send(Array(#"{"jsonrpc":"2.0","id":1,"meth"#.utf8)) }
            connection.close()
        }
        #expect(try ping(daemon.session()) < 1)
        try daemon.eventually("their descriptors are closed") { daemon.openDescriptors <= descriptors + 8 }
    }

    @Test func `a handshake that drips is cut off, and others do not wait for it`() throws {
        let daemon = try RunningDaemon()
        let mine = try daemon.session()
        let slow = try (0..<50).map { _ in try daemon.connect() }
        let hello = Array(
            #"{"jsonrpc":"2.0","id":1,"method":"session.hello","params":{"protocol":1,"client":{"#.utf8)
        var (longest, closed) = (0.0, 0)
        // A byte every quarter of a second would take 20 seconds.
        for byte in hello {
            closed = slow.count { (try? $0.send([byte])) == nil }
            longest = max(longest, try ping(mine))
            if closed == slow.count { break }
            usleep(250_000)
        }
        #expect(closed == slow.count)
        #expect(longest < 1)
    }

    @Test func `unfinished lines of one user cost a bounded memory`() throws {
        let daemon = try RunningDaemon()
        let mine = try daemon.session()
        let before = daemon.residentBytes
        let part = Array(
            (#"{"jsonrpc":"2.0","id":1,"method":""# + String(repeating: "x", count: 1_000_000)).utf8)
        var cut = 0
        var held: [RawConnection] = []
        for _ in 0..<200 {
            let connection = try daemon.session()
            held.append(connection)
            try? connection.send(part)
        }
        for connection in held {
            var watched = pollfd(fd: connection.descriptor, events: Int16(POLLIN), revents: 0)
            if poll(&watched, 1, 50) > 0, try connection.line()?["error"]?["data"]?["kind"] == "queue_full" {
                cut += 1
            }
        }
        // 64 MiB of them are kept, 1 MB each.
        #expect((125...150).contains(cut), "\(cut) were cut off")
        #expect(daemon.residentBytes - before < 200 << 20)
        #expect(try ping(mine) < 1)
        for connection in held { connection.close() }
        try daemon.eventually("another line fits") {
            (try? daemon.session().request(
                "job.list", ["model": .string(String(repeating: "x", count: 500_000))])) != nil
        }
    }

    @Test func `floods of descriptors are refused and closed`() throws {
        let daemon = try RunningDaemon()
        let descriptors = daemon.openDescriptors
        let null = open("/dev/null", O_RDONLY | O_CLOEXEC)
        let file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC)
        defer {
            close(null)
            close(file)
        }
        let session = try daemon.session()
        let opened = try session.result(
            TransferOpenResult.self, "transfer.open", ["direction": "import", "files": ["a"]])
        let packet = #"{"token":"\#(opened.token)","index":0}"#
        for round in 0..<300 {
            let peer = try RawConnection(opened.socket, type: SOCK_SEQPACKET)
            let many = Array(repeating: round % 2 == 0 ? null : file, count: [2, 17, 64][round % 3])
            #expect(try peer.pass(packet, many).error != nil)
        }
        try daemon.eventually("they are closed") { daemon.openDescriptors <= descriptors + 8 }
        // One is right, and the transfer is still there.
        let peer = try RawConnection(opened.socket, type: SOCK_SEQPACKET)
        #expect(try peer.pass(packet, [file]).error == nil)
        #expect(try peer.pass(packet, [file]).error?.kind == .conflict)
        #expect(try ping(session) < 1)
    }

    @Test func `clients that are killed amid an upload leave no more than uploads that others may finish`()
        throws
    {
        let daemon = try RunningDaemon()
        let row = "{\"text\": \"" + String(repeating: "a row of some length ", count: 40) + "\"}\n"
        let path = daemon.directory + "/big.jsonl"
        try String(repeating: row, count: 20_000).write(toFile: path, atomically: false, encoding: .utf8)
        let created = try daemon.ctl([
            "model", "create", "m", "--config", ExampleModel.path("config.json"), "--tokenizer",
            ExampleModel.path("tokenizer.json"), "--seed", "1",
        ])
        #expect(created.status == 0, "\(created.stderr)")
        let words = ["submit", "evaluate", "--model", "m", "--forget", path, "--hold", "--quiet"]
        let descriptors = daemon.openDescriptors
        var killed = 0
        for round in 0..<12 {
            let client = try ChildProcess(
                Products.path("unlearnctl"), words,
                environment: [
                    "PATH": "/usr/bin:/bin", "HOME": daemon.directory, "UNLEARND_SOCKET": daemon.socket,
                ],
                output: "/dev/null", errors: "/dev/null")
            usleep(UInt32(20_000 + 25_000 * round))
            client.signal(SIGKILL)
            if try client.wait() == 128 + SIGKILL { killed += 1 }
        }
        #expect(killed > 0)
        // The bytes are one upload, whoever sends them.
        #expect(daemon.openDescriptors <= descriptors + 9)
        let whole = try daemon.ctl(words)
        #expect(whole.status == 0, "\(whole.stderr)")
        #expect(try daemon.ctl(["dataset", "list", "--json"]).json.arrayValue?.count == 1)
        try daemon.eventually("nothing is left of them") { daemon.openDescriptors <= descriptors + 8 }
        #expect(daemon.process?.exitStatus == nil)
    }
}
