// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// Purges of an encrypted store by a real daemon: the keys go, in the store and in its backups.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct KeyDestructionTests {
    @Test func `a purge destroys keys, says so, and an older key ring is refused afterwards`() throws {
        let world = try EncryptedWorld()
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
        let world = try EncryptedWorld()
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
        let world = try EncryptedWorld()
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
        try EncryptedWorld.writeKey(other)
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
}
