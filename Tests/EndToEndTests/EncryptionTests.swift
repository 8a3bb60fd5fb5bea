// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// An encrypted store with a real daemon: its whole life, its purges, its backups, and what is refused.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct EncryptionTests {
    /// A directory of systemd's kind with master keys, a backup target, and a daemon with an encrypted store.
    private final class World {
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

    @Test func `a model lives in an encrypted store as in any other, and no file shows it`() throws {
        let world = try World()
        let daemon = world.daemon
        try world.ctl(
            "model", "create", "people", "--config", ExampleModel.path("config.json"), "--tokenizer",
            ExampleModel.path("tokenizer.json"), "--tokenizer-config",
            ExampleModel.path("tokenizer_config.json"), "--seed", "1")
        var sets: [String: String] = [:]
        for (name, count) in [("forget.jsonl", 12), ("retain.jsonl", 24)] {
            let path = daemon.directory + "/" + name
            try ExampleModel.rows(name, count).write(toFile: path, atomically: false, encoding: .utf8)
            sets[name] = path
        }
        let (forget, retain) = (try #require(sets["forget.jsonl"]), try #require(sets["retain.jsonl"]))
        let trained = try world.ctl(
            "submit", "finetune", "--model", "people", "--data", retain, "--epochs", "1", "--wait", "--json"
        ).json
        #expect(trained["version"] == "v2")
        let unlearned = try world.ctl(
            "submit", "ascent", "--model", "people", "--forget", forget, "--retain", retain, "--epochs", "1",
            "--pairing", "cycle", "--wait", "--json"
        ).json
        #expect(unlearned["version"] == "v3" && unlearned["evaluation"]?["after"] != nil)
        let out = daemon.directory + "/people"
        try world.ctl("model", "export", "people@v3", out)
        try world.ctl("model", "import", "again", out)
        let digests = try world.ctl("model", "list", "--json").json.arrayValue?.map { $0["digest"] }
        #expect(digests?.count == 2 && digests?[0] == digests?[1])
        try world.ctl("generate", "people", "--prompt", "Who", "--max-new-tokens", "2")
        try world.ctl("model", "diff", "people@v2", "people@v3")
        try world.ctl("submit", "evaluate", "--model", "people", "--retain", retain, "--wait")
        try world.ctl("store", "optimize", "--wait")
        try world.ctl("rollback", "people", "--to", "v2")
        try world.ctl("store", "verify")
        try world.ctl("store", "gc")
        try world.ctl("report", "3")
        #expect(try world.magics(daemon.state) == ["ULE1"])
        let text = try ExampleModel.rows("forget.jsonl", 1).prefix(40)
        for (name, bytes) in try directoryContents(daemon.state) where !name.hasPrefix("unlearnd.sqlite") {
            #expect(bytes.range(of: Data(text.utf8)) == nil, "\(name)")
        }
        let status = try world.ctl("store", "status", "--json").json
        #expect(status["encryption"]?["cipher"] == "AES-256-GCM")
        #expect(status["encryption"]?["version_keys"]?.integerValue ?? 0 > 4)
        let id = try #require(status["encryption"]?["master_key"]?.stringValue)
        #expect(try world.ctl("store", "status").stdout.contains("encrypted AES-256-GCM, master key \(id)"))
        let doctor = try daemon.ctl(["system", "doctor"]).stdout
        #expect(doctor.contains("encryption: AES-256-GCM, master key \(id)"), "\(doctor)")
        let format = try StrictJSON.parse(
            Array(try Data(contentsOf: URL(fileURLWithPath: daemon.state + "/FORMAT"))))
        #expect(format["read"]?.arrayValue?.first == "encryption")
        try world.restart()
        try world.ctl("store", "verify")
        try world.ctl("audit", "verify")
    }

    @Test func `what cannot open the store is refused in clear words`() throws {
        let world = try World()
        #expect(try world.daemon.stop() == 0)
        let key = world.keys + "/unlearnd-master-key"
        let good = try Data(contentsOf: URL(fileURLWithPath: key))
        func refused(_ words: String, _ environment: [String: String] = [:]) throws {
            let run = try world.unlearnd(
                ["--state-directory", world.daemon.state, "--socket", world.daemon.directory + "/o.sock"],
                environment)
            #expect(run.status == 78 && run.words.contains(words), "\(words): \(run.status) \(run.words)")
        }
        let credentials = ["CREDENTIALS_DIRECTORY": world.keys]
        try refused("no master key is given")
        try refused("no master key is given", ["CREDENTIALS_DIRECTORY": world.target])
        try refused("encryption is off", credentials.merging(["UNLEARND_ENCRYPTION": "off"]) { $1 })
        try refused("neither on nor off", credentials.merging(["UNLEARND_ENCRYPTION": "perhaps"]) { $1 })
        try World.writeKey(key)
        try refused("and the one given is", credentials)
        try World.writeKey(key, 31)
        try refused("31 bytes; it is 32 random bytes, or 64 hexadecimal digits", credentials)
        try good.write(to: URL(fileURLWithPath: key))
        chmod(key, 0o644)
        try refused("open to other users (mode 644)", credentials)
        chmod(key, 0o640)
        try refused("open to other users (mode 640)", ["UNLEARND_MASTER_KEY_FILE": key])
        chmod(key, 0o600)
        let inside = world.daemon.state + "/master"
        try good.write(to: URL(fileURLWithPath: inside))
        chmod(inside, 0o600)
        try refused("lies in the state directory", ["UNLEARND_MASTER_KEY_FILE": inside])
        try refused("is not a file", ["UNLEARND_MASTER_KEY_FILE": world.keys])
        try refused("cannot be read", ["UNLEARND_MASTER_KEY_FILE": world.keys + "/nothing"])
        unlink(inside)
        // A key that systemd opened by an access list shows the group's right.
        chmod(key, 0o440)
        try world.start()
        try world.ctl("store", "verify")
        #expect(try world.daemon.stop() == 0)
        // An older program knows no such feature; this one stands for it with a newer one.
        let format = world.daemon.state + "/FORMAT"
        let text = try String(contentsOfFile: format, encoding: .utf8)
        try text.replacingOccurrences(of: "\"encryption\"", with: "\"encryption-2\"").write(
            toFile: format, atomically: false, encoding: .utf8)
        try refused("written by a newer version, which uses \"encryption-2\"", credentials)
        try text.write(toFile: format, atomically: false, encoding: .utf8)
        // A ring that is damaged, and one that is gone.
        let rings = try FileManager.default.contentsOfDirectory(atPath: world.daemon.state + "/keys")
            .filter { $0.hasPrefix("ring.") }
        #expect(rings.count == 1)
        let ring = world.daemon.state + "/keys/" + rings[0]
        let whole = try Data(contentsOf: URL(fileURLWithPath: ring))
        var changed = whole
        changed[changed.count - 1] ^= 1
        try changed.write(to: URL(fileURLWithPath: ring))
        try refused("its seal is broken", credentials)
        unlink(ring)
        try refused("is not there", credentials)

        let plain = try World(isEncrypted: false)
        try plain.ctl("store", "status")
        #expect(try plain.ctl("store", "status", "--json").json["encryption"] == .null)
        #expect(try plain.daemon.stop() == 0)
        let run = try plain.unlearnd(
            ["--state-directory", plain.daemon.state, "--socket", plain.daemon.directory + "/o.sock"],
            plain.environment)
        #expect(run.status == 78 && run.words.contains("unlearnd restore --encrypt"), "\(run.words)")
    }

    @Test func `a purge destroys keys, says so, and an older key ring is refused afterwards`() throws {
        let world = try World()
        try world.prepare()
        let before = try directoryContents(world.daemon.state)
        let plan = try world.ctl("purge", "--job", "3", "--dry-run", "--json").json
        #expect(
            plan["erasure"] == "cryptographic erasure" && plan["keys"] == .null && plan["destroyed"] == [])
        let done = try world.ctl("purge", "--job", "3", "--yes", "--json").json
        #expect(done["erasure"] == "cryptographic erasure" && done["finished"] != .null)
        // The keys of two imports, the edit and the upload; of the edit's, what is left is kept one by one.
        #expect(done["keys"]?["destroyed"] == 4, "\(done)")
        let kept = try #require(done["keys"]?["kept"]?.integerValue)
        let left = try directoryContents(world.daemon.state).keys.filter { $0.hasPrefix("objects/") }
        #expect(kept == Int64(left.count) && kept > 0)
        let certificate = try world.ctl("audit", "certificate", "3").stdout
        let purge = try StrictJSON.parse(certificate)["certificate"]?["purges"]?.arrayValue?.first
        #expect(purge?["erasure"] == "cryptographic erasure" && purge?["keys"] == done["keys"])
        let destroyed = purge?["destroyed"]?.arrayValue?.compactMap(\.stringValue) ?? []
        let remaining = purge?["remaining"]?.arrayValue?.compactMap(\.stringValue) ?? []
        #expect(destroyed.contains { $0.hasPrefix("4 keys: the key ring was written without them") })
        #expect(remaining.contains { $0.contains("older key rings") && $0.contains("unlearnd rekey") })
        #expect(remaining.contains { $0.contains("the database, which is not encrypted") })
        #expect(try world.daemon.ctl(["audit", "verify-certificate", "-"], input: certificate).status == 0)
        try world.ctl("store", "verify")
        #expect(try world.daemon.stop() == 0)

        // With every file of before back in its place, nothing of what was purged can be read.
        let after = try directoryContents(world.daemon.state)
        let gone = before.filter { $0.key.hasPrefix("objects/") && after[$0.key] == nil }
        #expect(gone.count > 3)
        for (name, bytes) in gone {
            let path = world.daemon.state + "/" + name
            try FileManager.default.createDirectory(
                atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            try bytes.write(to: URL(fileURLWithPath: path))
        }
        try world.start()
        let verified = try world.ctl("store", "verify", status: 74)
        for name in gone.keys {
            let id = (name as NSString).lastPathComponent
            #expect(verified.stdout.contains(id.prefix(12)), "\(id)")
        }
        #expect(verified.stdout.contains("was destroyed"), "\(verified.stdout)")
        #expect(try world.daemon.stop() == 0)
        // And with the old key ring no daemon starts.
        let old = try #require(before.first { $0.key.hasPrefix("keys/ring.") })
        for name in try FileManager.default.contentsOfDirectory(atPath: world.daemon.state + "/keys")
        where name.hasPrefix("ring.") { unlink("\(world.daemon.state)/keys/\(name)") }
        try old.value.write(to: URL(fileURLWithPath: world.daemon.state + "/" + old.key))
        let run = try world.unlearnd(
            ["--state-directory", world.daemon.state, "--socket", world.daemon.directory + "/o.sock"],
            world.environment)
        #expect(run.status == 78 && run.words.contains("the last purge wrote number"), "\(run.words)")
    }

    @Test(arguments: [
        "inside-purge", "after-purge-record", "after-purge-datasets", "after-purge-objects",
        "after-purge-keys",
    ])
    func `a purge that is cut off is finished by the next start, and the keys go`(point: String) throws {
        let world = try World()
        try world.prepare()
        try world.restart(["UNLEARND_FAILPOINT": point])
        _ = try world.daemon.ctl(["purge", "--job", "3", "--yes"])
        #expect(try world.daemon.process?.wait(seconds: 30) == 128 + SIGKILL)
        try world.start()
        if point == "inside-purge" { try world.ctl("purge", "--job", "3", "--yes") }
        try world.daemon.eventually("the purge is finished", seconds: 30) {
            let purge = try StrictJSON.parse(try world.ctl("audit", "certificate", "3").stdout)[
                "certificate"]?[
                    "purges"]?.arrayValue?.first
            return purge?["finished"] != .null && purge?["keys"]?["destroyed"] == 4
        }
        let encryption = try world.ctl("store", "status", "--json").json["encryption"]
        #expect(encryption?["version_keys"] == 0, "\(encryption ?? .null)")
        try world.ctl("store", "verify")
        try world.ctl("audit", "verify")
    }

    @Test
    func `a backup is encrypted, loses the keys of what is purged, and comes back with the master key alone`()
        throws
    {
        let world = try World()
        try world.prepare()
        let made = try world.ctl("store", "backup", "disk", "--json").json
        #expect(made["generation"] == 1 && made["copied"] == made["objects"])
        #expect(try world.magics(world.target) == ["ULE1"])
        #expect(try world.ctl("store", "backups", "--json").json.arrayValue?.first?["encrypted"] == true)
        let before = try directoryContents(world.target)
        try world.ctl("purge", "--job", "3", "--yes")
        let second = try world.ctl("store", "backup", "disk", "--json").json
        #expect(second["removed"] != 0)
        let log = try world.ctl("logs", "\(5)").stdout
        #expect(log.contains("of the backup:") && log.contains("keys destroyed"), "\(log)")
        // An object that was taken out, put back, cannot be opened with the backup's key ring.
        let after = try directoryContents(world.target)
        let gone = before.filter { $0.key.hasPrefix("objects/") && after[$0.key] == nil }
        #expect(!gone.isEmpty)
        #expect(after.keys.filter { $0.hasPrefix("keys/") }.count == 1)
        // What is missing in the store is healed from it.
        let victim = try #require(
            directoryContents(world.daemon.state).keys.first { $0.hasPrefix("objects/") })
        unlink(world.daemon.state + "/" + victim)
        let healed = try world.ctl("store", "restore", "disk", "--json").json
        #expect(healed["healed"]?.arrayValue?.count == 1, "\(healed)")
        try world.ctl("store", "verify")
        #expect(try world.daemon.stop() == 0)

        let restored = world.daemon.directory + "/restored"
        let arguments = ["restore", "--from", world.target, "--state-directory", restored]
        let locked = try world.unlearnd(arguments)
        #expect(locked.status == 78 && locked.words.contains("is encrypted, and no master key is given"))
        let other = world.keys + "/other"
        try World.writeKey(other)
        let wrong = try world.unlearnd(arguments + ["--master-key-file", other])
        #expect(wrong.status == 74 && wrong.words.contains("and the one given is"), "\(wrong.words)")
        #expect(access(restored + "/FORMAT", F_OK) != 0)
        let right = try world.unlearnd(
            arguments + ["--master-key-file", world.keys + "/unlearnd-master-key"])
        #expect(right.status == 0, "\(right.words)")
        try FileManager.default.removeItem(atPath: world.daemon.state)
        try FileManager.default.moveItem(atPath: restored, toPath: world.daemon.state)
        try world.start()
        #expect(try world.magics(world.daemon.state) == ["ULE1"])
        try world.ctl("store", "verify")
        try world.ctl("audit", "verify")
        let history = try world.ctl("model", "history", "a", "--json").json.arrayValue
        #expect(history?.map { $0["gone"] } == [true, false])
        let import2 = try world.ctl("model", "import", "c", world.daemon.directory + "/a", status: 1)
        #expect(import2.stderr.contains("must not come back"))
    }

    @Test func `a store that is not encrypted becomes one that is by way of a backup`() throws {
        let world = try World(isEncrypted: false)
        try world.prepare()
        try world.ctl("store", "backup", "disk")
        #expect(try world.magics(world.target) == ["ULO1"])
        #expect(try world.daemon.stop() == 0)
        try FileManager.default.removeItem(atPath: world.daemon.state)
        let run = try world.unlearnd(
            [
                "restore", "--from", world.target, "--state-directory", world.daemon.state, "--encrypt",
                "--master-key-file", world.keys + "/unlearnd-master-key",
            ])
        #expect(run.status == 0, "\(run.words)")
        try world.start()
        #expect(try world.magics(world.daemon.state) == ["ULE1"])
        try world.ctl("store", "verify")
        try world.expectExport("a@v1", "a")
        // Its old backup is not encrypted: nothing more is written to it.
        let refused = try world.ctl("store", "backup", "disk", status: 1)
        #expect(refused.stderr.contains("is not encrypted, and the store is"), "\(refused.stderr)")
    }

    @Test func `another master key opens the store and its backups, and the old one does not`() throws {
        let world = try World()
        try world.prepare()
        try world.ctl("store", "backup", "disk")
        let new = world.keys + "/new"
        try World.writeKey(new)
        let arguments = [
            "rekey", "--state-directory", world.daemon.state, "--new-master-key-file", new, "--backup",
            world.target,
        ]
        let credentials = ["CREDENTIALS_DIRECTORY": world.keys]
        let running = try world.unlearnd(arguments, credentials)
        #expect(running.status == 78 && running.words.contains("another unlearnd"), "\(running.words)")
        #expect(try world.daemon.stop() == 0)
        let objects = try directoryContents(world.daemon.state).filter { $0.key.hasPrefix("objects/") }
        let done = try world.unlearnd(arguments, credentials)
        #expect(done.status == 0 && done.words.contains("destroy"), "\(done.words)")
        // Once more changes nothing.
        let again = try world.unlearnd(arguments, credentials)
        #expect(again.status == 0 && again.words.contains("already"), "\(again.words)")
        #expect(try directoryContents(world.daemon.state).filter { $0.key.hasPrefix("objects/") } == objects)
        let old = try world.unlearnd(
            ["--state-directory", world.daemon.state, "--socket", world.daemon.directory + "/o.sock"],
            world.environment)
        #expect(old.status == 78 && old.words.contains("is sealed with the master key"), "\(old.words)")
        try world.start(["UNLEARND_MASTER_KEY_FILE": new])
        try world.ctl("store", "verify")
        try world.ctl("store", "backup", "disk")
        try world.expectExport("a@v1", "a")
    }
}
