// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// SIGHUP: what changes while the daemon runs, what does not, and what a faulty file does.
@Suite(.timeLimit(.minutes(15)))
struct ReloadTests {
    private func write(_ text: String, _ directory: String) throws {
        try text.write(toFile: directory + "/unlearnd.yaml", atomically: true, encoding: .utf8)
    }

    private func reload(_ daemon: RunningDaemon, until words: String) throws {
        daemon.process?.signal(SIGHUP)
        try daemon.eventually("the log says “\(words)”: \(daemon.log)") {
            daemon.log.contains(words)
        }
    }

    @Test func `takes effect, is logged key by key, and is audited`() throws {
        let daemon = try RunningDaemon()
        try daemon.kill()
        try write("parallel: 2\n", daemon.directory)
        let file = daemon.directory + "/unlearnd.yaml"
        try daemon.start(environment: ["UNLEARND_CONFIG": file, "UNLEARND_THREADS": "1"])
        let bytes = { try daemon.ctl(["system", "info", "--json"]).json["memory_limit"]?.integerValue }
        #expect(try bytes() != 3 << 30)
        try write(
            "parallel: 1\nmemory_limit: 3GiB\nlog_level: debug\nthreads: 2\nworker: /bin/true\nhooks:\n"
                + "  - events: [\"state:failed\"]\n    journal: true\n", daemon.directory)
        try reload(daemon, until: "takes effect only with a restart")
        #expect(try bytes() == 3 << 30)
        for line in [
            "reload: parallel: 2 -> 1", "reload: log_level: info -> debug", "reload: hooks: changed",
            "-> 3221225472", "reload: worker: found beside the daemon -> /bin/true",
        ] {
            #expect(daemon.log.contains(line), "\(line): \(daemon.log)")
        }
        // The environment wins over the file: nothing has changed there.
        #expect(!daemon.log.contains("reload: threads"))
        let rows = try daemon.ctl(["audit", "log", "--json"]).json.arrayValue ?? []
        let row = rows.last { $0["action"] == "configuration.reload" }
        #expect(row?["body"]?["parallel"] == ["from": "2", "to": "1"], "\(rows)")
        #expect(row?["body"]?["worker"] == nil)
        #expect(try daemon.ctl(["audit", "verify"]).status == 0)
        // Once more: only what needs a restart is still to be named.
        try reload(daemon, until: "nothing changed")
        #expect(try daemon.stop() == 0)
    }

    @Test(arguments: [
        ("parallel: many\n", "not a whole number"), ("paralel: 1\n", "did you mean \"parallel\"?"),
        ("parallel: 1\nparallel: 3\n", "line 2"), ("parallel: 0x2\n", "decimal digits"),
        ("- parallel\n", "key: value"),
        ("parallel: [1]\n", "line 1"), ("hooks:\n- events: [heads]\n  journal: true\n", "line 2"),
        ("hooks:\n- events: [head]\n  command: [true]\n", "line 3"), ("log_level: &x loud\n", "anchor"),
    ])
    func `a faulty file changes nothing and is explained`(_ text: String, _ words: String) throws {
        let daemon = try RunningDaemon()
        try daemon.kill()
        let file = daemon.directory + "/unlearnd.yaml"
        try write("memory_limit: 3GiB\n", daemon.directory)
        try daemon.start(environment: ["UNLEARND_CONFIG": file])
        try write("memory_limit: 2GiB\n" + text, daemon.directory)
        try reload(daemon, until: "was not reloaded, the one before stays in effect")
        let shifted = words.hasPrefix("line ") ? "line \((Int(words.dropFirst(5)) ?? 0) + 1)" : words
        #expect(daemon.log.contains(shifted) || text.hasPrefix("-"), "\(daemon.log)")
        #expect(try daemon.ctl(["system", "info", "--json"]).json["memory_limit"]?.integerValue == 3 << 30)
        let rows = try daemon.ctl(["audit", "log", "--json"]).json.arrayValue ?? []
        #expect(!rows.contains { $0["action"] == "configuration.reload" })
        // The same file is refused at a start.
        #expect(try daemon.stop() == 0)
        let process = try daemon.spawn(environment: ["UNLEARND_CONFIG": file])
        #expect(try process.wait() == ExitCode.configuration.rawValue)
    }
}
