// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// Directories that must not become a model: each is refused with a sentence that names the thing, and
/// leaves no trace.
@Suite(.timeLimit(.minutes(15)))
struct ImportRefusalTests {
    /// One way in which a directory can be wrong.
    struct Case: CustomTestStringConvertible, Sendable {
        var testDescription: String
        /// What the message must contain.
        var names: String
        /// Damages a sound two-shard directory.
        var damage: @Sendable (String) throws -> Void
        var arguments: [String] = []
    }

    private static let shard = "model-00001-of-00002.safetensors"
    private static let index = "model.safetensors.index.json"

    private static func header(_ text: String, data: Int = 8) -> @Sendable (String) throws -> Void {
        { directory in
            for name in [shard, "model-00002-of-00002.safetensors", index] {
                try FileManager.default.removeItem(atPath: "\(directory)/\(name)")
            }
            let file = SyntheticCheckpoint.file(header: text, data: [UInt8](repeating: 0, count: data))
            try SyntheticCheckpoint.write(file, directory + "/model.safetensors")
        }
    }

    static let cases: [Case] = [
        Case(testDescription: "a missing shard", names: shard) {
            try FileManager.default.removeItem(atPath: "\($0)/\(shard)")
        },
        Case(testDescription: "a truncated shard", names: shard) {
            truncate("\($0)/\(shard)", 1000)
        },
        Case(testDescription: "a shard that ends inside its header", names: shard) {
            truncate("\($0)/\(shard)", 20)
        },
        Case(testDescription: "config.json is missing", names: "config.json") {
            try FileManager.default.removeItem(atPath: $0 + "/config.json")
        },
        Case(testDescription: "a path out of the directory in the index", names: "../evil.safetensors") {
            try SyntheticCheckpoint.write(
                Array(#"{"weight_map": {"layer.0.weight": "../evil.safetensors"}}"#.utf8), "\($0)/\(index)")
        },
        Case(testDescription: "weights of another format beside", names: "pytorch_model.bin") {
            try SyntheticCheckpoint.write([1, 2, 3], $0 + "/pytorch_model.bin")
        },
        Case(
            testDescription: "overlapping tensors", names: "b",
            damage: header(
                #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#
            )),
        Case(
            testDescription: "offsets beyond the file", names: "a",
            damage: header(#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#)),
        Case(
            testDescription: "a shape that does not fit its bytes", names: "a",
            damage: header(#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}"#)),
        Case(
            testDescription: "a key that stands twice", names: "duplicate",
            damage: header(
                #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#
            )),
        Case(
            testDescription: "a type that nobody knows", names: "F37",
            damage: header(#"{"a":{"dtype":"F37","shape":[2],"data_offsets":[0,8]}}"#)),
        Case(testDescription: "a header of many gigabytes", names: "model.safetensors") { directory in
            try header("{}")(directory)
            try SyntheticCheckpoint.write(
                [0, 0, 0, 0, 0, 1, 0, 0] + [UInt8](repeating: 0x20, count: 64),
                directory + "/model.safetensors")
        },
    ]

    @Test(arguments: cases)
    func `a wrong directory is refused and leaves nothing`(_ wrong: Case) throws {
        let daemon = try RunningDaemon()
        let directory = daemon.directory + "/m"
        try SyntheticCheckpoint(seed: 1, matrices: 4, side: 64).write(to: directory, shards: 2)
        try wrong.damage(directory)
        let output = try daemon.ctl(["model", "import", "m", directory])
        #expect(output.status == 65, "\(output.stderr)")
        #expect(output.stderr.contains(wrong.names), "\(output.stderr)")
        #expect(
            try daemon.ctl(["model", "list", "--json"]).json.arrayValue?.allSatisfy { $0["head"] == .null }
                == true)
        #expect(try daemon.ctl(["store", "status", "--json"]).json["versions"] == 0)
    }

    @Test func `other weights are left out when that is asked for`() throws {
        let daemon = try RunningDaemon()
        let directory = daemon.directory + "/m"
        try SyntheticCheckpoint(seed: 1, matrices: 2, side: 64).write(to: directory)
        try SyntheticCheckpoint.write([1, 2, 3], directory + "/pytorch_model.bin")
        #expect(try daemon.ctl(["model", "import", "m", directory, "--skip-other-weights"]).status == 0)
        #expect(try daemon.ctl(["model", "export", "m", daemon.directory + "/exported"]).status == 0)
        #expect(
            try directoryContents(daemon.directory + "/exported").keys.sorted() == [
                "config.json", "model.safetensors",
            ])
    }

    @Test func `a client that is killed amid its import leaves an import that failed or one that is whole`()
        throws
    {
        let daemon = try RunningDaemon()
        let directory = daemon.directory + "/m"
        try SyntheticCheckpoint(seed: 1, matrices: 16, side: 1024).write(to: directory)
        for delay: useconds_t in [1_000, 20_000, 60_000, 120_000] {
            let client = try ChildProcess(
                Products.path("unlearnctl"), ["model", "import", "m", directory],
                environment: ["UNLEARND_SOCKET": daemon.socket, "HOME": daemon.directory],
                output: daemon.directory + "/client", errors: daemon.directory + "/client")
            usleep(delay)
            client.signal(SIGKILL)
            try client.wait()
        }
        let session = try daemon.session()
        try daemon.eventually("no job is left", seconds: 60) {
            let jobs: [Job] = try session.result("job.list", ["all": true])
            return jobs.allSatisfy(\.state.isTerminal)
        }
        let jobs: [Job] = try session.result("job.list", ["all": true])
        let whole = jobs.filter { $0.state == .succeeded }.count
        let history = try daemon.ctl(["model", "history", "m", "--json"])
        let versions = history.status == 5 ? 0 : try history.json.arrayValue?.count
        #expect(versions == whole)
        #expect(try daemon.ctl(["store", "verify"]).status == 0)
    }

    @Test func `a full disk fails the import with a clear error, and the store stays readable`() throws {
        guard geteuid() == 0 else {
            print("skipped: mounting a small file system needs root")
            return
        }
        var mounted = ""
        defer { if !mounted.isEmpty { _ = umount2(mounted, 2) } }
        let daemon = try RunningDaemon(prepare: { directory in
            let state = directory + "/state"
            try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
            guard mount("tmpfs", state, "tmpfs", 0, "size=48m,mode=0700") == 0 else {
                throw TestFailure("no tmpfs can be mounted: \(String(cString: strerror(errno)))")
            }
            mounted = state
        })
        let small = daemon.directory + "/small"
        let large = daemon.directory + "/large"
        try SyntheticCheckpoint(seed: 1, matrices: 2, side: 512).write(to: small)
        try SyntheticCheckpoint(seed: 2, matrices: 40, side: 1024).write(to: large)
        #expect(try daemon.ctl(["model", "import", "small", small]).status == 0)
        let output = try daemon.ctl(["model", "import", "large", large])
        #expect(output.status == 74, "\(output.status): \(output.stderr)")
        #expect(output.stderr.contains("free in"), "\(output.stderr)")
        #expect(try daemon.ctl(["store", "gc"]).status == 0)
        #expect(try daemon.ctl(["store", "verify"]).status == 0)
        #expect(try daemon.ctl(["model", "export", "small", daemon.directory + "/exported"]).status == 0)
        #expect(try directoryContents(small) == directoryContents(daemon.directory + "/exported"))
    }
}
