// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// A disk that fails under the daemon, so that its file system can only be read from then on.
@Suite(.timeLimit(.minutes(15)))
struct ReadOnlyTests {
    @Test
    func `what is there can still be looked at, changes are refused in clear words, and nothing is lost`()
        throws
    {
        guard let (daemon, disk) = try LoopDisk.daemon() else { return }
        try SyntheticCheckpoint(seed: 1, matrices: 1, side: 64).write(to: daemon.directory + "/model")
        let imported = try daemon.ctl(["model", "import", "m", daemon.directory + "/model"])
        #expect(imported.status == 0, "\(imported.stderr)")
        let digest = try daemon.ctl(["model", "show", "m", "--json"]).json["history"]
        guard disk.fail() else {
            print("skipped: this kernel cannot be told that a disk has failed")
            return
        }
        #expect(try daemon.ctl(["model", "show", "m", "--json"]).json["history"] == digest)
        #expect(try daemon.ctl(["store", "status"]).status == 0)
        #expect(try daemon.ctl(["ps", "--all"]).stdout.contains("import"))
        for command in [
            ["store", "gc"], ["store", "verify"], ["model", "export", "m", daemon.directory + "/exported"],
        ] {
            let refused = try daemon.ctl(command)
            #expect(refused.status != 0)
            #expect(refused.stderr.contains("cannot be written"), "\(refused.stderr)")
            #expect(refused.stderr.contains("mount it writable"), "\(refused.stderr)")
        }
        try daemon.stop()
        // On what is still read-only no daemon starts, and it says why.
        let process = try daemon.spawn()
        #expect(try process.wait() == ExitCode.configuration.rawValue)
        #expect(daemon.log.contains("Read-only file system"), "\(daemon.log)")
        let elsewhere = try daemon.spawn(extra: ["--state-directory", disk.mount + "/new/state"])
        #expect(try elsewhere.wait() == ExitCode.configuration.rawValue)
        #expect(daemon.log.contains("/new cannot be made: Read-only file system"), "\(daemon.log)")
        #expect(LoopDisk.run("umount \(disk.mount)") == 0)
        #expect(disk.remount())
        try daemon.start()
        #expect(try daemon.ctl(["model", "show", "m", "--json"]).json["history"] == digest)
        #expect(try daemon.ctl(["store", "verify"]).status == 0)
        #expect(try daemon.ctl(["audit", "verify"]).status == 0)
        #expect(try daemon.stop() == 0)
        #expect(LoopDisk.run("umount \(disk.mount)") == 0)
    }
}
