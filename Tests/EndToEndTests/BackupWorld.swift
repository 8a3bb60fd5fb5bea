// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// A daemon with one backup target, `disk`.
final class BackupWorld {
    let target: String
    let daemon: RunningDaemon
    private(set) var isMounted = false

    /// - Parameter size: The size of a file system of the target's own, as `mount` writes it.
    init(size: String? = nil) throws {
        var template = Array("/tmp/ub.XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else {
            throw TestFailure("no temporary directory can be made")
        }
        target = String(cString: made)
        if let size {
            isMounted = BackupWorld.run("mount -t tmpfs -o size=\(size),mode=700 tmpfs \(target)") == 0
        }
        daemon = try RunningDaemon(environment: BackupWorld.environment(target))
    }

    deinit {
        if isMounted { _ = BackupWorld.run("umount -l \(target)") }
        try? FileManager.default.removeItem(atPath: target)
    }

    static func environment(_ target: String) -> [String: String] {
        ["UNLEARND_BACKUP_TARGETS": "disk=\(target)"]
    }

    static func run(_ command: String) -> Int32 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", "PATH=$PATH:/usr/sbin:/sbin; " + command]
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return -1 }
        process.waitUntilExit()
        return process.terminationStatus
    }

    func start(failPoint: String? = nil) throws {
        var environment = BackupWorld.environment(target)
        if let failPoint { environment["UNLEARND_FAILPOINT"] = failPoint }
        try daemon.start(environment: environment)
    }

    @discardableResult
    func ctl(_ arguments: String..., status: Int32 = 0) throws -> RunningDaemon.Output {
        let output = try daemon.ctl(arguments)
        #expect(output.status == status, "\(arguments): \(output.stdout)\(output.stderr)")
        return output
    }

    /// Imports a made-up model.
    func add(_ name: String, seed: UInt64) throws {
        let directory = "\(daemon.directory)/\(name)"
        try SyntheticCheckpoint(seed: seed, matrices: 2, side: 64).write(to: directory)
        try ctl("model", "import", name, directory)
    }

    func backup(_ more: String...) throws -> JSONValue {
        let output = try daemon.ctl(["store", "backup", "disk", "--json"] + more)
        #expect(output.status == 0, "\(output.stderr)")
        return output.status == 0 ? try output.json : .null
    }

    /// The object files below a directory that holds objects, by name.
    static func objects(_ root: String) throws -> [String: String] {
        let files = try directoryContents(root + "/objects").keys
        return Dictionary(
            uniqueKeysWithValues: files.map {
                (($0 as NSString).lastPathComponent, "\(root)/objects/\($0)")
            })
    }

    /// Whether any file below a directory has the text as it is.
    static func isFound(_ text: String, in root: String) throws -> Bool {
        try directoryContents(root).values.contains { $0.range(of: Data(text.utf8)) != nil }
    }

    /// Changes a byte in the middle of a file.
    static func damage(_ path: String) throws {
        chmod(path, 0o600)
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes[bytes.count - bytes.count / 4] ^= 1
        try bytes.write(to: URL(fileURLWithPath: path))
    }

    /// Runs `unlearnd restore` to the daemon's state directory.
    func restore(_ more: String...) throws -> (status: Int32, words: String) {
        let log = daemon.directory + "/restore.log"
        unlink(log)
        let process = try ChildProcess(
            Products.path("unlearnd"),
            ["restore", "--from", target, "--state-directory", daemon.state] + more,
            environment: ["PATH": "/usr/bin:/bin", "HOME": daemon.directory], output: log, errors: log)
        return (try process.wait(seconds: 60), try String(contentsOfFile: log, encoding: .utf8))
    }

    /// Whether a model's head is exported as its directory was.
    func expectExport(_ name: String) throws {
        let out = "\(daemon.directory)/\(name).\(UInt32.random(in: 0...UInt32.max))"
        try ctl("model", "export", name, out)
        #expect(try directoryContents(out) == directoryContents("\(daemon.directory)/\(name)"))
    }

    func expectSound() throws {
        try ctl("store", "verify")
        try ctl("audit", "verify")
    }
}
