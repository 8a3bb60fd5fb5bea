// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// Directories on a real file system that are no models, and places that are no targets.
@Suite(.timeLimit(.minutes(15)))
struct HostileDirectoryTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        /// What standard error names.
        var names: String
        var status: Int32 = 65
        var damage: @Sendable (String) throws -> Void
    }

    static let shard = "model-00001-of-00002.safetensors"
    static let index = "model.safetensors.index.json"

    private static func replace(_ name: String, _ make: @escaping @Sendable (String) -> Int32)
        -> @Sendable (String) throws -> Void
    {
        { directory in
            let path = "\(directory)/\(name)"
            try FileManager.default.removeItem(atPath: path)
            guard make(path) == 0 else { throw TestFailure("\(name): \(String(cString: strerror(errno)))") }
        }
    }

    static let cases: [Case] = [
        Case(
            testDescription: "a directory for a shard", names: shard,
            damage: replace(shard) { mkdir($0, 0o700) }),
        Case(
            testDescription: "a pipe for a shard", names: shard, damage: replace(shard) { mkfifo($0, 0o600) }),
        Case(
            testDescription: "a device for a shard", names: shard,
            damage: replace(shard) { symlink("/dev/zero", $0) }),
        Case(
            testDescription: "an index that lies elsewhere", names: index,
            damage: replace(index) { symlink("/etc/hostname", $0) }),
        Case(
            testDescription: "a link that leads nowhere", names: shard,
            damage: replace(shard) { symlink("nothing", $0) }),
        Case(
            testDescription: "links in a ring", names: shard,
            damage: replace(shard) { symlink(shard, $0) }),
        Case(testDescription: "a link to a directory", names: "tokenizer.json") { directory in
            try FileManager.default.createDirectory(
                atPath: directory + "/sub", withIntermediateDirectories: true)
            symlink("sub", directory + "/tokenizer.json")
        },
        Case(testDescription: "a directory too deep", names: "deeper") { directory in
            let path = directory + "/1/2/3/4/5/6/7/8/9"
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        },
        Case(testDescription: "a file of a terabyte that its header covers", names: "free in", status: 74) {
            directory in
            // Sparse: it costs nothing until it is read.
            for name in [shard, "model-00002-of-00002.safetensors", index] {
                try FileManager.default.removeItem(atPath: "\(directory)/\(name)")
            }
            let size = 1 << 40
            let file = SyntheticCheckpoint.file(
                header: #"{"a":{"dtype":"U8","shape":[\#(size)],"data_offsets":[0,\#(size)]}}"#, data: [])
            let path = directory + "/model.safetensors"
            try SyntheticCheckpoint.write(file, path)
            guard truncate(path, file.count + size) == 0 else {
                throw TestFailure("no sparse file can be made here: \(String(cString: strerror(errno)))")
            }
        },
    ]

    @Test(arguments: cases)
    func `is refused and leaves nothing`(_ wrong: Case) throws {
        let daemon = try RunningDaemon()
        let directory = daemon.directory + "/m"
        try SyntheticCheckpoint(seed: 1, matrices: 4, side: 64).write(to: directory, shards: 2)
        try wrong.damage(directory)
        let output = try daemon.ctl(["model", "import", "m", directory], seconds: 60)
        #expect(output.status == wrong.status, "\(output.status): \(output.stderr)")
        #expect(output.stderr.contains(wrong.names), "\(output.stderr)")
        let status = try daemon.ctl(["store", "status", "--json"]).json
        #expect(status["versions"] == 0 && status["garbage_objects"] == 0)
    }

    @Test func `bits that give rights do not come back, and what is not part of a model stays out`() throws {
        let daemon = try RunningDaemon()
        let directory = daemon.directory + "/m"
        try SyntheticCheckpoint(seed: 1, matrices: 1, side: 64).write(to: directory)
        try FileManager.default.createDirectory(
            atPath: directory + "/.git", withIntermediateDirectories: true)
        try SyntheticCheckpoint.write([1], directory + "/.git/HEAD")
        #expect(chmod(directory + "/model.safetensors", 0o6755) == 0)
        let imported = try daemon.ctl(["model", "import", "m", directory])
        #expect(imported.status == 0 && imported.stderr.contains(".git"), "\(imported.stderr)")
        let out = daemon.directory + "/exported"
        #expect(try daemon.ctl(["model", "export", "m", out]).status == 0)
        var status = stat()
        #expect(stat(out + "/model.safetensors", &status) == 0)
        #expect(status.st_mode & 0o7111 == 0)
        #expect(try directoryContents(out).keys.sorted() == ["config.json", "model.safetensors"])
    }

    @Test func `an export goes to a new place alone, and never through a link or into the store`() throws {
        let daemon = try RunningDaemon()
        let directory = daemon.directory + "/m"
        try SyntheticCheckpoint(seed: 1, matrices: 1, side: 64).write(to: directory)
        #expect(try daemon.ctl(["model", "import", "m", directory]).status == 0)
        let empty = daemon.directory + "/empty"
        try FileManager.default.createDirectory(atPath: empty, withIntermediateDirectories: true)
        symlink(empty, daemon.directory + "/link")
        symlink(daemon.state, daemon.directory + "/inside")
        try SyntheticCheckpoint.write([1], daemon.directory + "/file")
        let before = try directoryContents(daemon.state + "/objects")
        for target in ["m", "file", "link", "none/deeper", "state/out", "inside/out", "state/objects/out"] {
            for arguments in [[], ["--detach"]] {
                let output = try daemon.ctl(
                    ["model", "export", "m", "\(daemon.directory)/\(target)"] + arguments)
                #expect(output.status == 65, "\(target): \(output.status) \(output.stderr)")
            }
        }
        #expect(try directoryContents(empty).isEmpty)
        #expect(access(daemon.state + "/out", F_OK) != 0)
        #expect(try directoryContents(daemon.state + "/objects") == before)
        // An empty directory is a new place too.
        #expect(try daemon.ctl(["model", "export", "m", empty]).status == 0)
    }
}
