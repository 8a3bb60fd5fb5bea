// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// What is left on the disk itself: a store on a file system of its own, in an image that is read byte by byte.
///
/// Needs root and a loop device; where these are not to be had it says so and proves nothing.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct ErasureProofTests {
    /// Stands in the rows and in the note; nothing else in the world has these bytes.
    private static let text = "c4n4ry-\(UUID().uuidString)"
    /// The lowest bytes of the weights of `a` and `b`, rotated as the store does: 128 canaries of 32 bytes each.
    private static let weights = (0..<2).map { _ in (0..<4096).map { _ in UInt8.random(in: 0...255) } }
    /// Every fourth of them is looked for.
    private static let canaries = weights.flatMap { low in
        stride(from: 0, to: 4096, by: 128).map { Array(low[$0..<$0 + 32]) }
    }

    /// A checkpoint of one F32 tensor whose lowest bytes, one after the other, spell canaries: the store moves the sign to
    /// the other end, keeps each byte of the elements apart, and leaves what is random as it is.
    private func write(_ directory: String, high: UInt32, low: [UInt8]) throws {
        let header = Array(
            #"{"w":{"dtype":"F32","shape":[\#(low.count)],"data_offsets":[0,\#(low.count * 4)]}}"#.utf8)
        func little(_ value: UInt64, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        }
        let bytes =
            little(UInt64(header.count), 8) + header
            + low.flatMap { little(UInt64(high | UInt32($0 & 1) << 31 | UInt32($0 >> 1)), 4) }
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(fileURLWithPath: directory + "/model.safetensors"))
        try #"{"model_type":"llama"}"#.write(
            toFile: directory + "/config.json", atomically: false, encoding: .utf8)
    }

    /// The low bytes of `a` and `b` of an encrypted store: 500 canaries of 32 bytes in each, 23 random bytes between.
    private static let many = (0..<2).map { _ in (0..<500 * 55).map { _ in UInt8.random(in: 0...255) } }
    private static let thousand = many.flatMap { low in
        stride(from: 0, to: low.count, by: 55).map { Array(low[$0..<$0 + 32]) }
    }

    @Test(arguments: [false, true])
    func `a thousand canaries are on the raw disk before and after a purge, but not where it is encrypted`(
        isEncrypted: Bool
    ) throws {
        var template = Array("/tmp/uk.XXXXXX".utf8CString)
        let keys = try #require(mkdtemp(&template).map { String(cString: $0) })
        defer { try? FileManager.default.removeItem(atPath: keys) }
        let key = keys + "/unlearnd-master-key"
        try Data((0..<32).map { _ in UInt8.random(in: 0...255) }).write(to: URL(fileURLWithPath: key))
        chmod(key, 0o600)
        let encryption = ["UNLEARND_ENCRYPTION": "on", "CREDENTIALS_DIRECTORY": keys]
        guard let (daemon, disk) = try LoopDisk.daemon(environment: isEncrypted ? encryption : [:]) else {
            return
        }
        func ctl(_ arguments: String...) throws -> RunningDaemon.Output {
            let output = try daemon.ctl(arguments)
            #expect(output.status == 0, "\(arguments): \(output.stderr)")
            return output
        }
        for (index, name) in ["a", "b"].enumerated() {
            try write(
                "\(daemon.directory)/\(name)", high: index == 0 ? 0x3F00_0000 : 0x3FC1_3300,
                low: Self.many[index])
            _ = try ctl("model", "import", name, "\(daemon.directory)/\(name)")
        }
        let texts = (0..<200).map { _ in "c4n4ry-\(UUID().uuidString)" }
        let rows = texts.map { "{\"text\": \"\($0)\"}\n" }.joined()
        try rows.write(toFile: daemon.directory + "/f.jsonl", atomically: false, encoding: .utf8)
        _ = try ctl(
            "submit", "task-vector", "--model", "a", "--finetuned", "b", "--scale", "0.37", "--forget",
            daemon.directory + "/f.jsonl", "--no-evaluate", "--wait")
        let needles = Self.thousand + texts.map { Array($0.utf8) }
        func found() throws -> (weights: Int, rows: Int) {
            #expect(LoopDisk.run("sync -f \(disk.mount)") == 0)
            let all = try disk.found(needles)
            return (all.count { $0 < 1000 }, all.count { $0 >= 1000 })
        }
        // The keys of all versions, as they stood in the ring before the purge.
        var sealed: [UInt8] = []
        if isEncrypted {
            let names = try FileManager.default.contentsOfDirectory(atPath: disk.mount + "/keys")
            let ring = try #require(names.first { $0.hasPrefix("ring.") })
            sealed = Array(try Data(contentsOf: URL(fileURLWithPath: "\(disk.mount)/keys/\(ring)")))
        }
        let before = try found()
        let words = isEncrypted ? "cryptographic erasure" : "logical deletion"
        #expect(try ctl("purge", "--job", "3", "--yes").stdout.contains(words))
        #expect(try daemon.stop() == 0)
        // Neither a trim nor anything else that helps.
        let after = try found()
        print(
            "canaries on the raw disk, \(isEncrypted ? "encrypted" : "not encrypted"): "
                + "before the purge \(before.weights) of 1000 in weights, \(before.rows) of 200 in rows; "
                + "after it \(after.weights) and \(after.rows)")
        if isEncrypted {
            #expect(before == (0, 0) && after == (0, 0))
            // The ring of before was overwritten where it lay: no piece of what it sealed is left.
            let pieces = stride(from: 72, to: sealed.count - 32, by: 32).map { Array(sealed[$0..<$0 + 32]) }
            #expect(pieces.count > 4)
            #expect(try disk.found(pieces).isEmpty)
        } else {
            #expect(before.weights == 1000)
        }
        #expect(LoopDisk.run("umount \(disk.mount)") == 0)
    }

    @Test func `after a purge on a full disk and a trim, no canary is on the raw disk`() throws {
        guard let (daemon, disk) = try LoopDisk.daemon() else { return }
        func ctl(_ arguments: String...) throws -> RunningDaemon.Output {
            let output = try daemon.ctl(arguments)
            #expect(output.status == 0, "\(arguments): \(output.stderr)")
            return output
        }
        for (index, name) in ["a", "b"].enumerated() {
            try write(
                "\(daemon.directory)/\(name)", high: index == 0 ? 0x3F00_0000 : 0x3FC1_3300,
                low: Self.weights[index])
            _ = try ctl("model", "import", name, "\(daemon.directory)/\(name)")
        }
        let rows = (0..<200).map { "{\"text\": \"\(Self.text) row \($0) \(UUID().uuidString)\"}\n" }.joined()
        try rows.write(toFile: daemon.directory + "/f.jsonl", atomically: false, encoding: .utf8)
        _ = try ctl(
            "submit", "task-vector", "--model", "a", "--finetuned", "b", "--scale", "0.37", "--forget",
            daemon.directory + "/f.jsonl", "--no-evaluate", "--note", "\(Self.text) of Ann", "--wait")
        // The proof is worth something only where the scan finds what is there.
        #expect(LoopDisk.run("sync -f \(disk.mount)") == 0)
        let needles = [Array(Self.text.utf8)] + Self.canaries
        #expect(try disk.found(needles).count == needles.count)

        _ = LoopDisk.run(
            "dd if=/dev/zero of=\(disk.mount)/filler bs=64k; dd if=/dev/zero of=\(disk.mount)/rest bs=1")
        #expect(LoopDisk.run("printf x > \(disk.mount)/more && [ -s \(disk.mount)/more ]") != 0)
        #expect(try ctl("purge", "--job", "3", "--yes").stdout.contains("logical deletion"))
        _ = try ctl("audit", "verify")
        #expect(try daemon.stop() == 0)
        #expect(LoopDisk.run("rm -f \(disk.mount)/filler \(disk.mount)/rest \(disk.mount)/more") == 0)
        let trimmed = LoopDisk.run("sync -f \(disk.mount) && fstrim \(disk.mount)")
        #expect(trimmed == 0 && LoopDisk.run("umount \(disk.mount)") == 0)
        #expect(try disk.found(needles) == [])
    }

    @Test func `a purge that has no room to write the database anew says so, and is finished when there is`()
        throws
    {
        guard let (daemon, disk) = try LoopDisk.daemon() else { return }
        func ctl(_ arguments: String...) throws -> RunningDaemon.Output { try daemon.ctl(arguments) }
        for (index, name) in ["a", "b"].enumerated() {
            try write(
                "\(daemon.directory)/\(name)", high: index == 0 ? 0x3F00_0000 : 0x3FC1_3300,
                low: Self.weights[index])
            #expect(try ctl("model", "import", name, "\(daemon.directory)/\(name)").status == 0)
        }
        let file = daemon.directory + "/f.jsonl"
        try "{\"text\": \"\(Self.text)\"}\n".write(toFile: file, atomically: false, encoding: .utf8)
        let edit = try ctl(
            "submit", "task-vector", "--model", "a", "--finetuned", "b", "--scale", "0.37", "--forget", file,
            "--no-evaluate", "--note", "\(Self.text) of Ann", "--wait")
        #expect(edit.status == 0, "\(edit.stderr)")
        // Twice as much as this takes in the database is more than the reserve.
        let session = try daemon.session()
        for _ in 0..<1500 {
            let spec: JSONValue = [
                "kind": "task-vector", "model": "a", "hold": true,
                "note": .string(String(repeating: "n", count: 4096)),
                "parameters": ["finetuned": "b", "scale": 0.37],
            ]
            let _: JSONValue = try session.result("job.submit", ["spec": spec])
        }
        #expect(LoopDisk.run("dd if=/dev/zero of=\(disk.mount)/filler bs=64k") != 0)
        let needles = [Array(Self.text.utf8)]

        let refused = try ctl("purge", "--job", "3", "--yes")
        #expect(refused.status == ExitCode.storage.rawValue)
        #expect(refused.stderr.contains("write the database anew") && refused.stderr.contains("store gc"))
        #expect(LoopDisk.run("rm -f \(disk.mount)/filler") == 0)
        let before = try ctl("audit", "certificate", "3").stdout
        #expect(before.contains("until there is room") && !before.contains("written anew over"))
        #expect(try ctl("store", "gc").status == 0)
        #expect(daemon.log.contains("purge 1: ") && !daemon.log.contains("purge 1: 0 objects"))
        let after = try ctl("audit", "certificate", "3").stdout
        #expect(after.contains("written anew over") && !after.contains("until there is room"))
        #expect(try ctl("audit", "verify").status == 0)
        #expect(try daemon.stop() == 0)
        #expect(LoopDisk.run("sync -f \(disk.mount) && fstrim \(disk.mount) && umount \(disk.mount)") == 0)
        #expect(try disk.found(needles) == [])
    }
}
