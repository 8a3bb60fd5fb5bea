// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// The daemon may read and write everything, its clients may not: nobody gets it to do for them what they could not do.
@Suite(
    .enabled(if: TwoUsers.obstacle == nil, Comment(rawValue: TwoUsers.obstacle ?? "")),
    .timeLimit(.minutes(15)), .serialized)
struct ConfusedDeputyTests {
    /// What nobody but root may read.
    private static let secret = "{\"text\": \"canary 7f3a the secret of root\"}\n"

    private func prepared() throws -> (users: TwoUsers, secret: String) {
        let users = try TwoUsers()
        let created = try users.daemon.ctl([
            "model", "create", "m", "--config", ExampleModel.path("config.json"), "--tokenizer",
            ExampleModel.path("tokenizer.json"), "--seed", "1",
        ])
        #expect(created.status == 0, "\(created.stderr)")
        let secret = try users.write(Self.secret, users.place + "/secret.jsonl")
        // They are users of the service, and as such are served.
        let fine = try users.write(
            "{\"text\": \"my own row\"}\n", users.home(.alice) + "/own.jsonl", by: .alice)
        let served = try users.ctl(
            .alice, ["submit", "evaluate", "--model", "m", "--forget", fine, "--wait"])
        #expect(served.status == 0, "\(served.stderr)")
        return (users, secret)
    }

    /// Whether anything of the secret has reached the daemon's directory.
    private func leaks(_ users: TwoUsers) throws -> Bool {
        let digest = try users.daemon.ctl(["dataset", "list", "--json"]).stdout
        let grep = try ChildProcess(
            "/bin/grep", ["-rqs", "canary 7f3a", users.daemon.state], environment: [:],
            output: "/dev/null", errors: "/dev/null"
        ).wait()
        // Datasets are stored compressed: count them too.
        return grep == 0 || digest.components(separatedBy: "\"dataset\"").count != 2
    }

    @Test func `files that a user cannot read are not read for them, by whatever name`() throws {
        let (users, secret) = try prepared()
        let home = users.home(.alice)
        symlink(secret, home + "/link.jsonl")
        try users.own(home + "/link.jsonl", .alice)
        link(secret, home + "/hard.jsonl")
        let theirs = try users.write(Self.secret, users.home(.bob) + "/theirs.jsonl", by: .bob)
        let daemon = users.daemon.process?.pid ?? 0
        let paths = [
            secret, home + "/link.jsonl", home + "/hard.jsonl", theirs, "/proc/\(daemon)/root\(secret)",
            "/proc/\(daemon)/cwd/secret.jsonl", "\(home)/../secret.jsonl",
        ]
        for path in paths {
            for option in ["--forget", "--retain", "--holdout", "--utility"] {
                let output = try users.ctl(.alice, ["submit", "evaluate", "--model", "m", option, path])
                #expect([64, 65].contains(output.status), "\(option) \(path): \(output.stderr)")
            }
            #expect(try users.ctl(.alice, ["submit", "--spec", path]).status != 0)
            #expect(try users.ctl(.alice, ["tokenize", "m", "--file", path]).status == 65)
        }
        // A job file of her own that names it.
        let spec = try users.write(
            "kind: evaluate\nmodel: m\nforget: \(secret)\n", home + "/job.yaml", by: .alice)
        #expect(try users.ctl(.alice, ["submit", "evaluate", "--spec", spec]).status == 65)
        #expect(try !leaks(users))
    }

    @Test func `directories that a user cannot read are not imported for them`() throws {
        let (users, secret) = try prepared()
        let home = users.home(.alice)
        for (name, target) in [
            ("config.json", ExampleModel.path("config.json")), ("model.safetensors", secret),
        ] {
            mkdir(home + "/model", 0o755)
            symlink(target, home + "/model/" + name)
        }
        try users.own(home + "/model", .alice)
        mkdir(users.home(.bob) + "/model", 0o700)
        try users.own(users.home(.bob) + "/model", .bob)
        mkdir(home + "/pipes", 0o755)
        mkfifo(home + "/pipes/model.safetensors", 0o666)
        try users.write("{}", home + "/pipes/config.json", mode: 0o644)
        try users.own(home + "/pipes", .alice)
        for directory in [home + "/model", users.home(.bob) + "/model", home + "/pipes", users.daemon.state] {
            let output = try users.ctl(.alice, ["model", "import", "stolen", directory])
            #expect(output.status == 65, "\(directory): \(output.stderr)")
        }
        let adapter = try users.ctl(
            .alice, ["submit", "task-vector", "--model", "m", "--adapter", users.home(.bob) + "/model"])
        #expect(adapter.status == 65, "\(adapter.stderr)")
        #expect(!(try users.daemon.ctl(["model", "list"]).stdout.contains("stolen")))
        #expect(try !leaks(users))
    }

    @Test func `nothing is written where a user could not write`() throws {
        let (users, secret) = try prepared()
        let closed = users.place + "/closed"
        mkdir(closed, 0o755)
        let home = users.home(.alice)
        symlink(closed, home + "/out")
        try users.own(home + "/out", .alice)
        symlink(secret, home + "/report.html")
        try users.own(home + "/report.html", .alice)
        let attempts = [
            ["model", "export", "m", closed + "/m"], ["model", "export", "m", home + "/out/m"],
            ["model", "export", "m", users.home(.bob) + "/m"],
            ["report", "2", "--html", closed + "/r.html"],
            ["report", "2", "--markdown", users.home(.bob) + "/r.md"],
            ["model", "filter", "m", "--output", closed + "/f.json"],
        ]
        for words in attempts {
            let output = try users.ctl(.alice, words)
            #expect(output.status != 0, "\(words): \(output.stdout)")
        }
        // The link is replaced, and not followed.
        #expect(try users.ctl(.alice, ["report", "2", "--html", home + "/report.html"]).status == 0)
        // A backup goes to a name of the configuration, never to a path.
        let backup = try users.ctl(.alice, ["store", "backup", closed])
        #expect(backup.status != 0, "\(backup.stdout)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: closed) == [])
        #expect(try FileManager.default.contentsOfDirectory(atPath: users.home(.bob)) == [])
        #expect(try String(contentsOfFile: secret, encoding: .utf8) == Self.secret)
    }

    @Test func `a descriptor that cannot be read or written gives nobody more than it is`() throws {
        let (users, secret) = try prepared()
        // Bob lets everybody write to an empty file, but not read it; and has one with something in it.
        let mine = try users.write("something", users.home(.bob) + "/full", by: .bob)
        chmod(users.home(.bob), 0o711)
        chmod(mine, 0o722)
        let answers = try users.python(
            .alice,
            """
            found = {}
            def offer(name, direction, descriptor):
                opened = call("transfer.open", {"direction": direction, "files": ["config.json"]})["result"]
                found[name] = send(opened["token"], 0, [descriptor]).get("error", {}).get("data", {}).get("kind")
                os.close(descriptor)
            home, secret = \(quoted(users.home(.alice))), \(quoted(secret))
            offer("a path to what she cannot read", "import", os.open(secret, os.O_PATH))
            offer("a path to write to", "export", os.open(secret, os.O_PATH))
            offer("a directory", "import", os.open(home, os.O_RDONLY))
            offer("a device", "import", os.open("/dev/null", os.O_RDONLY))
            os.mkfifo(home + "/fifo")
            offer("a fifo", "import", os.open(home + "/fifo", os.O_RDONLY | os.O_NONBLOCK))
            offer("a socket", "import", socket.socket(socket.AF_UNIX).detach())
            offer("what she may only read, to be written", "export", os.open("/etc/passwd", os.O_RDONLY))
            offer("what she may only write, to be read", "import", os.open(\(quoted(mine)), os.O_WRONLY))
            offer("what has something in it, to be written", "export", os.open(\(quoted(mine)), os.O_WRONLY))
            offer("the end of a file", "export", os.open(home + "/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND))
            print(json.dumps(found))
            """)
        let kinds = try #require(answers.objectValue)
        #expect(kinds.count == 10)
        for member in kinds.members { #expect(member.value == "bad_input", "\(member.key)") }
        #expect(try String(contentsOfFile: mine, encoding: .utf8) == "something")
        #expect(try users.refusals(of: .alice).contains("descriptor bad_input"))
        #expect(try !leaks(users))
    }

    @Test func `what one user has opened or sent is of no use to another`() throws {
        let (users, _) = try prepared()
        let text = "{\"text\": \"of bob\"}\n"
        let opened = try users.python(
            .bob,
            """
            transfer = call("transfer.open", {"direction": "import", "files": ["config.json"]})["result"]
            upload = call("blob.begin", {"size": 1000, "sha256": "\(String(repeating: "ab", count: 32))"})["result"]
            print(json.dumps([transfer["transfer"], transfer["token"], upload["blob"]]))
            """)
        let (transfer, token, blob) = (opened.arrayValue?[0], opened.arrayValue?[1], opened.arrayValue?[2])
        let own = try users.write(text, users.home(.alice) + "/own", by: .alice)
        let answers = try users.python(
            .alice,
            """
            transfer, token, blob = \(try json(transfer)), \(try json(token)), \(try json(blob))
            spec = {"kind": "import", "model": "stolen", "parameters": {"transfer": transfer}}
            print(json.dumps([
                kind(call("job.submit", {"spec": spec})),
                send(token, 0, [os.open(\(quoted(own)), os.O_RDONLY)]).get("error", {}).get("data", {}).get("kind"),
                kind(call("blob.chunk", {"blob": blob, "offset": 0, "data": "YQ=="})),
                kind(call("blob.commit", {"blob": blob})),
            ]))
            """)
        #expect(answers == ["not_found", "not_found", "not_found", "not_found"])
        // They are written a moment after the answers.
        try users.daemon.eventually("three refusals are in the log") {
            try users.refusals(of: .alice).isSuperset(of: [
                "transfer not_found", "descriptor not_found", "upload not_found",
            ])
        }
    }

    @Test func `no parameter is taken for a path`() throws {
        let (users, secret) = try prepared()
        let closed = users.place + "/closed"
        mkdir(closed, 0o700)
        let answers = try users.python(
            .alice,
            """
            secret, closed = \(quoted(secret)), \(quoted(closed))
            vector = {"kind": "task-vector", "model": "m"}
            asked = [
                ("job.submit", {"spec": {"kind": "evaluate", "model": "m", "forget": secret}}),
                ("job.submit", {"spec": {"kind": "evaluate", "model": secret, "forget": "\(String(repeating: "0", count: 64))"}}),
                ("job.submit", {"spec": {"kind": "import", "model": "n", "parameters": {"transfer": secret}}}),
                ("job.submit", {"spec": {"kind": "export", "model": "m", "parameters": {"transfer": closed}}}),
                ("job.submit", {"spec": dict(vector, parameters={"transfer": closed})}),
                ("job.submit", {"spec": {"kind": "backup", "parameters": {"target": closed}}}),
                ("job.submit", {"spec": {"kind": "restore", "parameters": {"target": closed}}}),
                ("model.publish", {"model": "m", "target": closed}),
                ("transfer.open", {"direction": "import", "files": [secret]}),
                ("transfer.open", {"direction": "export", "files": ["../../" + closed]}),
                ("blob.begin", {"size": 1, "sha256": secret}),
                ("dataset.purge", {"dataset": secret}),
            ]
            print(json.dumps([kind(call(method, params)) for method, params in asked]))
            """)
        let kinds = answers.arrayValue ?? []
        #expect(kinds.count == 12)
        for (index, kind) in kinds.enumerated() {
            #expect(
                ["invalid_params", "not_found", "permission_denied", "bad_input", "conflict"].contains(
                    kind.stringValue), "\(index): \(kind)")
        }
        // What needs an administrator is in the audit log; `restore` and `purge` do.
        let refused = try users.refusals(of: .alice)
        #expect(
            refused.isSuperset(of: ["dataset.purge permission_denied", "job.submit permission_denied"]),
            "\(refused)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: closed) == [])
        #expect(try !leaks(users))
    }

    @Test func `equal refusals become one row with their number`() throws {
        let (users, _) = try prepared()
        _ = try users.python(
            .bob, "for _ in range(500): call('dataset.purge', {'dataset': '0' * 64})\nprint('[]')")
        #expect(try users.daemon.stop() == 0)
        try users.daemon.start(environment: ["UNLEARND_OPERATOR_USERS": "games, mail"])
        let rows = (try users.daemon.ctl(["audit", "log", "--json"]).json.arrayValue ?? []).filter {
            $0["action"] == "access.refused" && $0["body"]?["method"] == "dataset.purge"
        }
        #expect(rows.count == 2)
        #expect(rows.compactMap { $0["body"]?["count"]?.integerValue }.reduce(0, +) == 500)
        #expect(try users.daemon.ctl(["audit", "verify"]).status == 0)
    }

    private func quoted(_ text: String) -> String { JSONValue.string(text).serializedString() }

    private func json(_ value: JSONValue?) throws -> String {
        guard let value else { throw TestFailure("the other user's script printed something else") }
        return value.serializedString()
    }
}
