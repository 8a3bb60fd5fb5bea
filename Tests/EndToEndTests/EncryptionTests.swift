// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// An encrypted store with a real daemon: its whole life, its keys, and what is refused.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct EncryptionTests {
    @Test func `a model lives in an encrypted store as in any other, and no file shows it`() throws {
        let world = try EncryptedWorld()
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
        let world = try EncryptedWorld()
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
        try EncryptedWorld.writeKey(key)
        try refused("and the one given is", credentials)
        try EncryptedWorld.writeKey(key, 31)
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

        let plain = try EncryptedWorld(isEncrypted: false)
        try plain.ctl("store", "status")
        #expect(try plain.ctl("store", "status", "--json").json["encryption"] == .null)
        #expect(try plain.daemon.stop() == 0)
        let run = try plain.unlearnd(
            ["--state-directory", plain.daemon.state, "--socket", plain.daemon.directory + "/o.sock"],
            plain.environment)
        #expect(run.status == 78 && run.words.contains("unlearnd restore --encrypt"), "\(run.words)")
    }

    @Test func `a store that is not encrypted becomes one that is by way of a backup`() throws {
        let world = try EncryptedWorld(isEncrypted: false)
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
        let world = try EncryptedWorld()
        try world.prepare()
        try world.ctl("store", "backup", "disk")
        let new = world.keys + "/new"
        try EncryptedWorld.writeKey(new)
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
