// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// Descriptors and uploads.
struct ProtocolTransferTests {
    private func open(_ path: String, _ flags: Int32) -> Int32 { Glibc.open(path, flags | O_CLOEXEC, 0o600) }

    private func packet(_ token: String, _ index: Int) -> String {
        #"{"token":"\#(token)","index":\#(index)}"#
    }

    private func begin(
        _ daemon: RunningDaemon, _ direction: String, _ files: [String]
    ) throws -> (session: RawConnection, opened: TransferOpenResult, socket: RawConnection) {
        let session = try daemon.session()
        let opened: TransferOpenResult = try session.result(
            "transfer.open", ["direction": .string(direction), "files": .array(files.map { .string($0) })])
        return (session, opened, try RawConnection(opened.socket, type: SOCK_SEQPACKET))
    }

    @Test func `a readable regular file is taken once for each index`() throws {
        let daemon = try RunningDaemon()
        let (_, opened, socket) = try begin(daemon, "import", ["a.json", "sub/b.json"])
        let path = daemon.directory + "/a.json"
        try "{}".write(toFile: path, atomically: false, encoding: .utf8)
        let file = open(path, O_RDONLY)
        defer { close(file) }
        #expect(try socket.pass(packet(opened.token, 0), [file]).received == 1)
        #expect(try socket.pass(packet(opened.token, 0), [file]).error?.kind == .conflict)
        #expect(try socket.pass(packet(opened.token, 2), [file]).error?.kind == .invalidParams)
        #expect(try socket.pass(packet(opened.token, -1), [file]).error?.kind == .invalidParams)
        #expect(try socket.pass(packet(opened.token, 1), [file]).received == 2)
    }

    @Test func `descriptors of another kind are refused and closed`() throws {
        let daemon = try RunningDaemon()
        let (_, opened, socket) = try begin(daemon, "import", ["a"])
        let path = daemon.directory + "/a"
        try "x".write(toFile: path, atomically: false, encoding: .utf8)
        var pipes: [Int32] = [-1, -1]
        #expect(pipe(&pipes) == 0)
        let file = open(path, O_RDONLY)
        let bad: [Int32] = [
            open(daemon.directory, O_RDONLY | O_DIRECTORY), pipes[0], open(path, O_WRONLY),
            open(path, O_RDWR),
            open("/dev/null", O_RDONLY), open(path, 0o10000000),
        ]
        defer { for descriptor in bad + [pipes[1], file] { close(descriptor) } }
        #expect(bad.allSatisfy { $0 >= 0 })
        // Answered, so that the connection itself is among what is counted.
        #expect(try socket.pass(packet(opened.token, 0), []).error?.kind == .invalidRequest)
        let before = daemon.openFiles
        for descriptor in bad {
            #expect(try socket.pass(packet(opened.token, 0), [descriptor]).error?.kind == .badInput)
        }
        #expect(try socket.pass(packet(opened.token, 0), [file, file]).error?.kind == .invalidRequest)
        #expect(
            try socket.pass(packet(opened.token, 0), Array(repeating: file, count: 64)).error?.kind
                == .invalidRequest)
        #expect(try socket.pass(packet(opened.token, 0), []).error?.kind == .invalidRequest)
        #expect(
            try socket.pass(packet(String(repeating: "0", count: 32), 0), [file]).error?.kind == .notFound)
        #expect(try socket.pass(packet(opened.transfer, 0), [file]).error?.kind == .notFound)
        #expect(try socket.pass("{", [file]).error?.kind == .parseError)
        #expect(
            try socket.pass(#"{"token":"\#(opened.token)","index":0,"x":1}"#, [file]).error?.kind
                == .invalidParams)
        #expect(try socket.pass(String(repeating: " ", count: 5000), [file]).error?.kind == .invalidRequest)
        // Others come and go meanwhile: the connection that waited for the start, the database's own files.
        let isClosed: Void? = try? daemon.eventually("what was passed is closed") {
            daemon.openDescriptors <= before.count
        }
        #expect(isClosed != nil, "\(before), and now \(daemon.openFiles)")
        #expect(try socket.pass(packet(opened.token, 0), [file]).received == 1)
    }

    @Test func `an export takes only empty writable files`() throws {
        let daemon = try RunningDaemon()
        let (_, opened, socket) = try begin(daemon, "export", ["out"])
        let full = daemon.directory + "/full"
        try "x".write(toFile: full, atomically: false, encoding: .utf8)
        let new = daemon.directory + "/new"
        let bad = [open(full, O_WRONLY), open(new, O_WRONLY | O_CREAT | O_APPEND), open(new, O_RDONLY)]
        let good = open(new, O_WRONLY)
        defer { for descriptor in bad + [good] { close(descriptor) } }
        for descriptor in bad {
            #expect(try socket.pass(packet(opened.token, 0), [descriptor]).error?.kind == .badInput)
        }
        #expect(try socket.pass(packet(opened.token, 0), [good]).received == 1)
    }

    @Test(arguments: ["/etc/passwd", "../x", "a/../b", "", "a//b", "./a", "a\u{0}b", "a\nb"])
    func `paths that leave the directory are refused`(_ path: String) throws {
        let daemon = try RunningDaemon()
        let answer = try daemon.session().request(
            "transfer.open", ["direction": "import", "files": [.string(path)]])
        #expect(answer["error"]?["data"]?["kind"] == "invalid_params")
    }

    @Test func `an incomplete transfer and a stranger's cannot be used`() throws {
        let daemon = try RunningDaemon()
        let (session, opened, _) = try begin(daemon, "import", ["config.json", "model.safetensors"])
        for (transfer, kind) in [
            (opened.transfer, "conflict"), (String(repeating: "a", count: 32), "not_found"),
        ] {
            let answer = try session.request(
                "job.submit",
                ["spec": ["kind": "import", "model": "m", "parameters": ["transfer": .string(transfer)]]])
            #expect(answer["error"]?["data"]?["kind"] == .string(kind), "\(answer)")
        }
    }

    @Test func `an upload goes on where it was broken off and becomes a dataset`() throws {
        let daemon = try RunningDaemon()
        let text = Array(#"{"text":"one"}"#.utf8) + [0x0A] + Array(#"{"text":"two"}"#.utf8) + [0x0A]
        let announced: JSONValue = [
            "size": .integer(Int64(text.count)), "sha256": .string(Self.sha256(of: text, in: daemon)),
        ]
        let first = try daemon.session()
        let begun: BlobBeginResult = try first.result("blob.begin", announced)
        let blob = try #require(begun.blob)
        #expect(begun.offset == 0)
        let part: BlobChunkResult = try first.result(
            "blob.chunk",
            ["blob": .string(blob), "offset": 0, "data": .string(Data(text[..<10]).base64EncodedString())])
        #expect(part.offset == 10)
        #expect(
            try first.request("blob.commit", ["blob": .string(blob)])["error"]?["data"]?["kind"] == "conflict"
        )
        first.close()
        let second = try daemon.session()
        let again: BlobBeginResult = try second.result("blob.begin", announced)
        #expect(again == BlobBeginResult(blob: blob, offset: 10, dataset: nil))
        for (offset, data) in [
            (0, "AAAA"), (10, "####"), (10, ""), (10, Data(count: 100).base64EncodedString()),
        ] {
            let answer = try second.request(
                "blob.chunk",
                ["blob": .string(blob), "offset": .integer(Int64(offset)), "data": .string(data)])
            #expect(answer["error"]?["data"]?["kind"] == "bad_input")
        }
        let _: BlobChunkResult = try second.result(
            "blob.chunk",
            ["blob": .string(blob), "offset": 10, "data": .string(Data(text[10...]).base64EncodedString())])
        let dataset: DatasetSummary = try second.result(
            "blob.commit", ["blob": .string(blob), "name": "two.jsonl"])
        #expect(dataset.rows == 2)
        #expect(dataset.bytes == Int64(text.count))
        let known: BlobBeginResult = try second.result("blob.begin", announced)
        #expect(known.dataset == dataset.dataset)
        #expect(known.blob == nil)
        #expect(try second.result([DatasetSummary].self, "dataset.list") == [dataset])
    }

    @Test func `bytes with another hash and rows of a wrong form are refused`() throws {
        let daemon = try RunningDaemon()
        let session = try daemon.session()
        func upload(_ text: String, sha256: String) throws -> JSONValue {
            let bytes = Array(text.utf8)
            let begun: BlobBeginResult = try session.result(
                "blob.begin", ["size": .integer(Int64(bytes.count)), "sha256": .string(sha256)])
            let blob = JSONValue.string(begun.blob ?? "")
            _ = try session.request(
                "blob.chunk", ["blob": blob, "offset": 0, "data": .string(Data(bytes).base64EncodedString())])
            return try session.request("blob.commit", ["blob": blob, "name": "f.jsonl"])
        }
        let good = #"{"text":"one"}"#
        let wrong = try upload(good, sha256: String(repeating: "0", count: 64))
        #expect(wrong["error"]?["data"]?["kind"] == "bad_input")
        let bad = "{\"text\":\"one\"}\n{\"txt\":1}\n"
        let rows = try upload(bad, sha256: Self.sha256(of: Array(bad.utf8), in: daemon))
        #expect(rows["error"]?["data"]?["kind"] == "bad_input")
        #expect(rows["error"]?["message"]?.stringValue?.contains("2") == true)
        let left = try FileManager.default.contentsOfDirectory(atPath: daemon.state + "/uploads")
        #expect(left.isEmpty)
        #expect(try session.result([DatasetSummary].self, "dataset.list").isEmpty)
        for size in [0, -1, 1 << 40] {
            let answer = try session.request(
                "blob.begin",
                ["size": .integer(Int64(size)), "sha256": .string(String(repeating: "1", count: 64))])
            #expect(answer["error"]?["data"]?["kind"] == "invalid_params")
        }
    }

    @Test func `one user's open uploads have a quota`() throws {
        let daemon = try RunningDaemon()
        let connection = try daemon.session()
        var kinds: [JSONValue?] = []
        for digit in "12345" {
            let answer = try connection.request(
                "blob.begin",
                ["size": .integer(1 << 30), "sha256": .string(String(repeating: String(digit), count: 64))])
            kinds.append(answer["error"]?["data"]?["kind"])
        }
        #expect(kinds == [nil, nil, nil, nil, "queue_full"])
    }

    /// By the system's own program, so that nothing of ours checks itself.
    private static func sha256(of bytes: [UInt8], in daemon: RunningDaemon) -> String {
        let path = daemon.directory + "/hashed"
        _ = FileManager.default.createFile(atPath: path, contents: Data(bytes))
        guard
            let process = try? ChildProcess(
                "/usr/bin/sha256sum", [path], environment: [:], output: path + ".out", errors: path + ".err"),
            (try? process.wait()) == 0
        else { return "" }
        return String(((try? String(contentsOfFile: path + ".out", encoding: .utf8)) ?? "").prefix(64))
    }
}
