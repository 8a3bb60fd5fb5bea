// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// Several processes on an encrypted store: all of them need keys, of which only the first is told.
extension RankTests {
    /// Directories of an encrypted world with the model and the files of ``taught(_:)``, taught in the same way.
    private func encrypted() throws -> (EncryptedWorld, RunningDaemon) {
        let world = try EncryptedWorld()
        let daemon = world.daemon
        try world.ctl(
            "model", "create", "people", "--config", ExampleModel.path("config.json"), "--tokenizer",
            ExampleModel.path("tokenizer.json"), "--tokenizer-config",
            ExampleModel.path("tokenizer_config.json"), "--seed", "3")
        for (name, count) in [("forget", 10), ("retain", 13), ("holdout", 9)] {
            try ExampleModel.rows("\(name).jsonl", count).write(
                toFile: "\(daemon.directory)/\(name.prefix(1)).jsonl", atomically: false, encoding: .utf8)
        }
        let taught = try end(
            daemon, submit(daemon, ["finetune", "--data", "f.jsonl", "--epochs", "8"]))
        #expect(taught.state == .succeeded, "\(String(describing: taught.error))")
        return (world, daemon)
    }

    @Test func `ranks on an encrypted store make what they make on any, and write nothing plain`() throws {
        guard Self.hasMPI() else { return }
        let plain = try taught()
        let (world, daemon) = try encrypted()
        for words in [
            ["finetune", "--model", "people@v1", "--data", "r.jsonl", "--epochs", "2"],
            ["npo", "--model", "people@v2", "--epochs", "1", "--pairing", "cycle"] + Self.sets,
            [
                "task-vector", "--model", "people@v1", "--finetuned", "people@v2", "--density", "0.5",
                "--scale", "2",
            ] + Self.sets,
            ["ablate", "--model", "people@v2", "--fraction", "0.2"] + Self.sets,
            ["evaluate", "--model", "people@v2", "--reference", "people@v1"] + Self.sets,
        ] {
            let expected = try end(plain, submit(plain, untrained: words, "--ranks", "2"))
            let sealed = try end(daemon, submit(daemon, untrained: words, "--ranks", "2"))
            for job in [expected, sealed] {
                #expect(job.state == .succeeded, "\(words[0]): \(String(describing: job.error))")
            }
            #expect(sealed.digest == expected.digest)
            // Requests before it have the times of their own store.
            var (own, other) = (sealed.evaluation, expected.evaluation)
            own?.earlier = nil
            other?.earlier = nil
            #expect(own == other)
        }
        #expect(try world.magics(daemon.state) == ["ULE1"])
        try world.ctl("store", "verify")
        // What ranks wrote goes with its key like anything else.
        let before = try world.ctl("store", "status", "--json").json["encryption"]?["version_keys"]
        try world.ctl("rollback", "people", "--to", "v1")
        let purged = try world.ctl("model", "purge", "people@v3", "--yes", "--json").json
        #expect(purged["erasure"] == "cryptographic erasure" && purged["finished"] != .null)
        let after = try world.ctl("store", "status", "--json").json["encryption"]?["version_keys"]
        #expect(before != after)
        try world.ctl("store", "verify")
        #expect(ranks(daemon).isEmpty && daemon.children.isEmpty)
    }

    @Test func `a key that another job writes with reaches ranks that are at work`() throws {
        guard Self.hasMPI() else { return }
        let (world, daemon) = try encrypted()
        // Few weights away from the first version, which is then kept as differences from it.
        try world.ctl(
            "submit", "ablate", "--model", "people@v1", "--fraction", "0.002", "--forget",
            daemon.directory + "/f.jsonl", "--no-evaluate", "--wait")
        try world.ctl("promote", "people@v3", "--reason", "a test")
        let out = daemon.directory + "/first"
        try world.ctl("model", "export", "people@v1", out)
        try world.ctl("store", "optimize", "--wait")
        #expect(
            try world.ctl("store", "status", "--json").json["delta_objects"]?.integerValue ?? 0 > 0)

        // The reference is read last: before that the import writes it in full, with its own key.
        try ExampleModel.rows("train.jsonl", 400).write(
            toFile: daemon.directory + "/r.jsonl", atomically: false, encoding: .utf8)
        let words =
            [
                "evaluate", "--model", "people@v2", "--reference", "people@v1", "--metrics", "all",
                "--max-new-tokens", "300",
            ] + Self.sets
        let id = try submit(daemon, untrained: words, "--ranks", "2")
        try daemon.eventually("two ranks are at work", seconds: 60) {
            let job = try job(daemon, id)
            return job.state.isTerminal || ranks(daemon).count == 2 && job.progress != nil
        }
        // On a machine with more to do the import would come too late.
        let processes = ranks(daemon)
        for process in processes { Glibc.kill(process, SIGSTOP) }
        do {
            defer { for process in processes { Glibc.kill(process, SIGCONT) } }
            try world.ctl("model", "import", "again", out)
        }
        let measured = try world.ctl("events", "--since", "1", "--json").stdout.split(separator: "\n")
            .contains { $0.contains(#""type":"evaluation""#) }
        #expect(!measured, "the import came too late to show anything")
        #expect(try world.ctl("store", "status", "--json").json["delta_objects"] == 0)
        let several = try end(daemon, id)
        #expect(several.state == .succeeded, "\(String(describing: several.error))")
        let one = try end(daemon, submit(daemon, untrained: words))
        #expect(one.evaluation == several.evaluation && one.evaluation?.reference?.forgetLoss != nil)
    }
}
