// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// What the operator has done on events: programs without a shell, and lines in the journal.
@Suite(.timeLimit(.minutes(15)))
struct HookTests {
    /// A daemon whose configuration has these hooks; `DIR` in them is its directory.
    private func daemon(_ hooks: String, programs: [String: String]) throws -> RunningDaemon {
        let daemon = try RunningDaemon()
        try daemon.kill()
        for (name, text) in programs {
            let path = "\(daemon.directory)/\(name)"
            try text.replacingOccurrences(of: "DIR", with: daemon.directory).write(
                toFile: path, atomically: false, encoding: .utf8)
            chmod(path, 0o755)
        }
        try hooks.replacingOccurrences(of: "DIR", with: daemon.directory).write(
            toFile: daemon.directory + "/unlearnd.yaml", atomically: false, encoding: .utf8)
        try daemon.start(environment: ["UNLEARND_CONFIG": daemon.directory + "/unlearnd.yaml"])
        return daemon
    }

    private func text(_ daemon: RunningDaemon, _ name: String) -> String {
        (try? String(contentsOfFile: "\(daemon.directory)/\(name)", encoding: .utf8)) ?? ""
    }

    private func importModel(_ daemon: RunningDaemon, _ name: String = "a") throws {
        let path = "\(daemon.directory)/model"
        if access(path, F_OK) != 0 { try SyntheticCheckpoint(seed: 1, matrices: 1, side: 64).write(to: path) }
        let output = try daemon.ctl(["model", "import", name, path])
        #expect(output.status == 0, "\(output.stderr)")
    }

    @Test func `a program gets the event, its arguments and nothing else; the journal gets a line`() throws {
        let daemon = try daemon(
            """
            hooks:
              - events: [head, "state:succeeded"]
                command: [DIR/hook.sh, "one $HOME", two]
              - {events: [head], journal: true}
            """,
            programs: [
                "hook.sh": """
                #!/bin/sh
                echo "said $UNLEARND_EVENT"
                { cat; echo "$# $1 $2"; env | sort; pwd; } >> DIR/seen.$UNLEARND_EVENT
                echo done >> DIR/done
                """
            ])
        try importModel(daemon)
        try daemon.eventually("both have run") { text(daemon, "done") == "done\ndone\n" }
        let lines = text(daemon, "seen.head").split(separator: "\n").map(String.init)
        let event = try StrictJSON.parse(lines[0])
        #expect(event["type"] == "head")
        #expect(event["model"] == "a")
        #expect(event["data"]?["to"] == "v1")
        #expect(event["seq"]?.integerValue != nil)
        #expect(lines[1] == "2 one $HOME two")
        let names = Set(
            lines[2...].compactMap {
                $0.contains("=") ? $0.split(separator: "=").first.map(String.init) : nil
            })
        #expect(
            names.isSubset(of: [
                "PATH", "LANG", "PWD", "UNLEARND_EVENT", "UNLEARND_SOCKET", "OLDPWD", "SHLVL", "_",
            ]))
        #expect(lines.contains("UNLEARND_SOCKET=\(daemon.socket)"))
        #expect(lines.last == "/")
        let state = try StrictJSON.parse(
            text(daemon, "seen.state").split(separator: "\n").first.map(String.init) ?? "")
        #expect(state["data"]?["to"] == "succeeded")
        try daemon.eventually("the output is logged") { daemon.log.contains("(head) said: said head") }
        #expect(daemon.log.contains("event {") && daemon.log.contains("\"type\":\"head\""))
        #expect(try daemon.stop() == 0)
    }

    @Test func `a program that hangs is killed, one that fails or shouts is logged, and jobs never wait`()
        throws
    {
        let daemon = try daemon(
            """
            hooks:
              - {events: [head], command: [DIR/hang.sh], timeout_seconds: 1}
              - {events: [head], command: [DIR/loud.sh]}
            """,
            programs: [
                "hang.sh":
                    "#!/bin/sh\ntrap '' TERM\necho $$ > DIR/hung\n(sleep 1000; echo) &\nwait\nsleep 1000\n",
                "loud.sh": "#!/bin/sh\nhead -c 3000000 /dev/zero | tr '\\0' x\necho\necho the end\nexit 3\n",
            ])
        let start = ContinuousClock.now
        try importModel(daemon)
        #expect(ContinuousClock.now - start < .seconds(20))
        try daemon.eventually("the loud one is logged") { daemon.log.contains("the end") }
        #expect(daemon.log.split(separator: "\n").allSatisfy { $0.utf8.count < 6000 })
        #expect(daemon.log.contains("loud.sh for event"))
        try daemon.eventually("the hanging one is killed") { daemon.log.contains("and was killed") }
        let process = pid_t(text(daemon, "hung").split(separator: "\n").first ?? "") ?? 0
        #expect(process > 1)
        try daemon.eventually("it and its child are gone") { kill(-process, 0) != 0 }
        #expect(try daemon.stop() == 0)
    }

    @Test func `too many runs are dropped, counted and logged, and the daemon still stops at once`() throws {
        let daemon = try daemon(
            "hooks: [{events: [submitted], command: [DIR/slow.sh], timeout_seconds: 600}]\n",
            programs: ["slow.sh": "#!/bin/sh\nexec sleep 300\n"])
        try importModel(daemon)
        #expect(try daemon.ctl(["queue", "pause"]).status == 0)
        let session = try daemon.session()
        let spec = #"{"kind": "evaluate", "model": "a", "forget": "SET"}"#
        let set = try daemon.ctl(
            ["submit", "evaluate", "--model", "a", "--forget", "-", "--json"], input: "{\"text\": \"a b\"}\n")
        let digest = try set.json["spec"]?["forget"]?.stringValue ?? ""
        for number in 0..<300 {
            try session.send(
                #"{"jsonrpc": "2.0", "id": \#(number), "method": "job.submit", "params": {"spec": \#(spec.replacingOccurrences(of: "SET", with: digest))}}"#
            )
            _ = try session.line(seconds: 20)
        }
        try daemon.eventually("drops are logged") { daemon.log.contains("too many wait already") }
        #expect(daemon.children.count >= 4)
        let start = ContinuousClock.now
        #expect(try daemon.stop() == 0)
        #expect(ContinuousClock.now - start < .seconds(20))
        #expect(daemon.log.contains("runs were dropped since the start"))
    }

    @Test func `a program that others can write is refused at the start, and again when it would run`() throws
    {
        let daemon = try daemon(
            "hooks: [{events: [head], command: [DIR/hook.sh]}]\n",
            programs: ["hook.sh": "#!/bin/sh\necho ran >> DIR/done\n"])
        chmod(daemon.directory + "/hook.sh", 0o777)
        try importModel(daemon)
        try daemon.eventually("the refusal is logged") { daemon.log.contains("can be written by others") }
        #expect(text(daemon, "done").isEmpty)
        #expect(try daemon.stop() == 0)
        let process = try daemon.spawn(environment: ["UNLEARND_CONFIG": daemon.directory + "/unlearnd.yaml"])
        #expect(try process.wait() == ExitCode.configuration.rawValue)
        // Nor may its folder be open to others.
        chmod(daemon.directory + "/hook.sh", 0o755)
        mkdir(daemon.directory + "/open", 0o777)
        chmod(daemon.directory + "/open", 0o777)
        rename(daemon.directory + "/hook.sh", daemon.directory + "/open/hook.sh")
        symlink("open/hook.sh", daemon.directory + "/hook.sh")
        let second = try daemon.spawn(environment: ["UNLEARND_CONFIG": daemon.directory + "/unlearnd.yaml"])
        #expect(try second.wait() == ExitCode.configuration.rawValue)
        #expect(daemon.log.contains("/open can be written by others"))
    }
}
