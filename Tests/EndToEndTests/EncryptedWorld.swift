// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// A directory of systemd's kind with master keys, a backup target, and a daemon with an encrypted store.
final class EncryptedWorld {
    let keys: String
    let target: String
    let daemon: RunningDaemon

    var environment: [String: String] {
        Self.environment(keys, target).merging(["UNLEARND_ENCRYPTION": "on"]) { $1 }
    }

    init(isEncrypted: Bool = true) throws {
        keys = try Self.directory()
        target = try Self.directory()
        try Self.writeKey(keys + "/unlearnd-master-key")
        var environment = Self.environment(keys, target)
        if isEncrypted { environment["UNLEARND_ENCRYPTION"] = "on" }
        daemon = try RunningDaemon(environment: environment)
    }

    deinit {
        for path in [keys, target] { try? FileManager.default.removeItem(atPath: path) }
    }

    static func environment(_ keys: String, _ target: String) -> [String: String] {
        ["CREDENTIALS_DIRECTORY": keys, "UNLEARND_BACKUP_TARGETS": "disk=\(target)"]
    }

    private static func directory() throws -> String {
        var template = Array("/tmp/uk.XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else {
            throw TestFailure("no temporary directory can be made")
        }
        return String(cString: made)
    }

    /// Writes a new random key.
    static func writeKey(_ path: String, _ count: Int = 32, mode: mode_t = 0o600) throws {
        try Data((0..<count).map { _ in UInt8.random(in: 0...255) }).write(to: URL(fileURLWithPath: path))
        chmod(path, mode)
    }

    @discardableResult
    func ctl(_ arguments: String..., status: Int32 = 0) throws -> RunningDaemon.Output {
        let output = try daemon.ctl(arguments, seconds: 300)
        #expect(output.status == status, "\(arguments): \(output.stdout)\(output.stderr)")
        return output
    }

    /// Stops the daemon and starts it again.
    func restart(_ more: [String: String] = [:]) throws {
        #expect(try daemon.stop() == 0)
        try start(more)
    }

    func start(_ more: [String: String] = [:]) throws {
        try daemon.start(environment: environment.merging(more) { $1 })
    }

    /// Models `a` and `b`, and a@v2, which has a part of b's direction taken away and shares the other files of a@v1.
    func prepare() throws {
        for (name, seed) in [("a", UInt64(1)), ("b", 2)] {
            let directory = "\(daemon.directory)/\(name)"
            try SyntheticCheckpoint(seed: seed, matrices: 3, side: 256).write(to: directory)
            try ctl("model", "import", name, directory)
        }
        let forget = daemon.directory + "/f.jsonl"
        try "{\"text\": \"the canary 5f2c9b71 sings\"}\n".write(
            toFile: forget, atomically: false, encoding: .utf8)
        try ctl(
            "submit", "task-vector", "--model", "a", "--finetuned", "b", "--scale", "0.001", "--forget",
            forget, "--no-evaluate", "--wait")
    }

    func expectExport(_ version: String, _ directory: String) throws {
        let out = "\(daemon.directory)/out.\(UInt32.random(in: 0...UInt32.max))"
        try ctl("model", "export", version, out)
        #expect(try directoryContents(out) == directoryContents("\(daemon.directory)/\(directory)"))
    }

    /// The first bytes of every file that holds an object or a dataset's list.
    func magics(_ root: String) throws -> Set<String> {
        let files = try directoryContents(root).filter {
            $0.key.hasPrefix("objects/") || $0.key.hasPrefix("datasets/")
        }
        return Set(files.values.map { String(decoding: $0.prefix(4), as: UTF8.self) })
    }

    /// Runs `unlearnd` with other arguments to its end.
    func unlearnd(_ arguments: [String], _ environment: [String: String] = [:]) throws -> (
        status: Int32, words: String
    ) {
        let log = daemon.directory + "/other.log"
        unlink(log)
        let process = try ChildProcess(
            Products.path("unlearnd"), arguments,
            environment: ["PATH": "/usr/bin:/bin", "HOME": daemon.directory].merging(environment) { $1 },
            output: log, errors: log)
        return (try process.wait(seconds: 60), try String(contentsOfFile: log, encoding: .utf8))
    }
}
