// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
import Protocol
import TestSupport
import Testing

/// Models and versions that are too many for one answer.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct PagingTests {
    /// A daemon whose model `m` has so many versions, each made from the one before by a job, and so many other models.
    ///
    /// The first version was imported; the rows of the others are copies of its rows, made while no daemon ran.
    /// - Parameter note: What is noted with each version.
    private func daemon(versions: Int, models: Int, note: String) throws -> RunningDaemon {
        let daemon = try RunningDaemon()
        let directory = daemon.directory + "/m"
        try SyntheticCheckpoint(seed: 1, matrices: 1, side: 8).write(to: directory)
        let output = try daemon.ctl(["model", "import", "m", directory])
        #expect(output.status == 0, "\(output.stderr)")
        #expect(try daemon.stop() == 0)
        let queue = try DatabaseQueue(path: daemon.state + "/unlearnd.sqlite")
        try queue.write { db in
            try db.execute(sql: "PRAGMA defer_foreign_keys = ON")
            for table in ["job", "version", "head_move", "model"] {
                try db.execute(sql: "CREATE TEMP TABLE one_\(table) AS SELECT * FROM \(table) LIMIT 1")
            }
            try db.execute(
                sql: "UPDATE one_job SET kind = 'task-vector', spec = ?",
                arguments: [#"{"kind":"task-vector","model":"m","parameters":{"finetuned":"m@v1"}}"#])
            try db.execute(sql: "UPDATE one_version SET note = ?", arguments: [note])
            for number in 2...versions {
                try db.execute(
                    sql: """
                        UPDATE one_job SET id = \(1000 + number), version = \(number);
                        UPDATE one_version SET n = \(number), parent = \(number - 1), job = \(1000 + number);
                        UPDATE one_head_move SET id = \(number), origin = \(number - 1), target = \(number);
                        INSERT INTO job SELECT * FROM one_job; INSERT INTO version SELECT * FROM one_version;
                        INSERT INTO head_move SELECT * FROM one_head_move;
                        """)
            }
            try db.execute(sql: "UPDATE model SET head = \(versions); UPDATE one_model SET head = NULL")
            for number in 1...models {
                try db.execute(
                    sql: "UPDATE one_model SET name = 'x\(number)'; INSERT INTO model SELECT * FROM one_model"
                )
            }
        }
        try queue.close()
        try daemon.start()
        return daemon
    }

    private func run(_ daemon: RunningDaemon, _ arguments: String...) throws -> RunningDaemon.Output {
        let output = try daemon.ctl(arguments)
        #expect(output.status == 0, "\(arguments): \(output.stderr)")
        return output
    }

    @Test func `a client puts the pages together, and prints the whole`() throws {
        let daemon = try daemon(versions: 2300, models: 1100, note: "a note")
        let names = (1...2300).map { "v\($0)" }
        let history = try #require(try run(daemon, "model", "history", "m", "--json").json.arrayValue)
        #expect(history.map { $0["version"]?.stringValue } == names)
        #expect(history.allSatisfy { $0["note"] == "a note" || $0["version"] == "v1" })
        let lines = try run(daemon, "model", "history", "m", "--quiet").stdout.split(separator: "\n")
        #expect(lines.map(String.init) == names.map { "m@\($0)" })
        let detail = try run(daemon, "model", "show", "m", "--json").json
        #expect(detail["history"]?.arrayValue == history)
        #expect(detail["moves"]?.arrayValue?.map { $0["to"]?.stringValue } == names)
        #expect(detail["versions"] == 2300 && detail["next"] == nil && detail["head"] == "v2300")
        #expect(detail["files"]?.arrayValue?.isEmpty == false)
        #expect(try run(daemon, "model", "show", "m").stdout.contains("v2299 → v2300"))
        let models = try run(daemon, "model", "list", "--quiet").stdout.split(separator: "\n").map(
            String.init)
        #expect(models == (["m"] + (1...1100).map { "x\($0)" }).sorted())
        #expect(try run(daemon, "model", "list", "--json").json.arrayValue?.count == 1101)
    }

    @Test func `a page has the newest that were asked for, and says where the next begins`() throws {
        let daemon = try daemon(versions: 1203, models: 3, note: "a note")
        let connection = try daemon.session()
        func history(_ params: JSONValue) throws -> [String] {
            let versions: [VersionSummary] = try connection.result("model.history", params)
            return versions.map(\.version.description)
        }
        // Who knows of no pages gets the first.
        #expect(try history(["model": "m"]) == (204...1203).map { "v\($0)" })
        #expect(try history(["model": "m", "before": "v204"]) == (1...203).map { "v\($0)" })
        #expect(try history(["model": "m", "limit": 3]) == ["v1201", "v1202", "v1203"])
        #expect(try history(["model": "m", "limit": 3, "before": "v3"]) == ["v1", "v2"])
        #expect(try history(["model": "m", "before": "v1"]) == [])
        #expect(try history(["model": "m", "limit": 5000]).count == 1000)
        #expect(try history(["model": "m", "limit": 0]) == ["v1203"])
        func models(_ params: JSONValue) throws -> [String] {
            let models: [ModelSummary] = try connection.result("model.list", params)
            return models.map(\.model.text)
        }
        #expect(try models(["limit": 2]) == ["m", "x1"])
        #expect(try models(["limit": 2, "after": "x1"]) == ["x2", "x3"])
        #expect(try models(["after": "x3"]) == [])
        let first: ModelDetail = try connection.result("model.show", ["model": "m", "limit": 2])
        #expect(
            first.history.map(\.version.number) == [1202, 1203]
                && first.moves.map(\.to.number) == [1202, 1203])
        #expect(first.next == ModelShowPlace(version: VersionNumber(1202), move: 1202))
        #expect(!first.files.isEmpty)
        let second: ModelDetail = try connection.result(
            "model.show", ["model": "m", "limit": 2, "before": ["version": "v1202", "move": 1202]])
        #expect(
            second.history.map(\.version.number) == [1200, 1201]
                && second.moves.map(\.to.number) == [1200, 1201])
        #expect(second.files.isEmpty)
        let last: ModelDetail = try connection.result(
            "model.show", ["model": "m", "before": ["version": "v3"]])
        #expect(last.history.map(\.version.number) == [1, 2] && last.moves.isEmpty && last.next == nil)
        for params: JSONValue in [["model": "m", "before": 3], ["model": "m", "before": "v0"]] {
            let refused = try connection.request("model.history", params)
            #expect(refused["error"]?["data"]?["kind"] == "invalid_params", "\(params)")
        }
    }

    @Test func `long texts make a page shorter, never an answer too long`() throws {
        // As JSON each of these characters takes six bytes.
        let daemon = try daemon(
            versions: 400, models: 1, note: String(repeating: "\u{1}", count: 4000))
        let connection = try daemon.session()
        let page: [VersionSummary] = try connection.result("model.history", ["model": "m"])
        #expect((1..<400).contains(page.count) && page.last?.version == VersionNumber(400))
        let whole = try run(daemon, "model", "history", "m", "--json").json.arrayValue
        #expect(whole?.map { $0["version"]?.stringValue } == (1...400).map { "v\($0)" })
        #expect(try run(daemon, "model", "show", "m", "--json").json["history"]?.arrayValue == whole)
    }

    @Test func `a rollback over a long line names every job that it undoes, and one back none`() throws {
        let daemon = try daemon(versions: 1500, models: 1, note: "a note")
        let back = try run(daemon, "rollback", "m", "--to", "v1", "--json").json
        #expect(back["undone"]?.arrayValue == (2...1500).map { .integer(Int64(1000 + $0)) })
        let forth = try run(daemon, "rollback", "m", "--to", "v1500", "--json").json
        #expect(forth["from"] == "v1" && forth["undone"]?.arrayValue == [])
        let part = try run(daemon, "rollback", "m", "--to", "v1498", "--json").json
        #expect(part["undone"] == [2499, 2500])
        // Every version but the head and the one that only rollbacks left was replaced by what was made from it.
        let history = try run(daemon, "model", "history", "m", "--json").json.arrayValue ?? []
        let replaced = history.filter { $0["class"] == "pre-edit" }.compactMap { $0["version"]?.stringValue }
        #expect(replaced == (1...1499).filter { $0 != 1498 }.map { "v\($0)" })
    }

    @Test func `datasets come in pages, and go on where the last one was even when it has gone`() throws {
        let daemon = try RunningDaemon()
        let file = daemon.directory + "/d.jsonl"
        try "{\"text\": \"one row\"}\n".write(toFile: file, atomically: false, encoding: .utf8)
        let directory = daemon.directory + "/m"
        try SyntheticCheckpoint(seed: 1, matrices: 1, side: 8).write(to: directory)
        for name in ["m", "n"] { _ = try run(daemon, "model", "import", name, directory) }
        _ = try run(
            daemon, "submit", "task-vector", "--model", "m", "--finetuned", "n", "--forget", file,
            "--no-evaluate", "--hold")
        #expect(try daemon.stop() == 0)
        let queue = try DatabaseQueue(path: daemon.state + "/unlearnd.sqlite")
        try queue.write { db in
            try db.execute(sql: "CREATE TEMP TABLE one AS SELECT * FROM dataset LIMIT 1")
            for number in 1...2100 {
                // Ten of each moment, so that the ids matter too.
                try db.execute(
                    sql: """
                        UPDATE one SET id = printf('%064x', \((number * 7919) % 2101)), created = \(number / 10);
                        INSERT INTO dataset SELECT * FROM one;
                        """)
            }
        }
        try queue.close()
        try daemon.start()
        let connection = try daemon.session()
        func page(_ params: JSONValue) throws -> [DatasetSummary] {
            try connection.result("dataset.list", params)
        }
        let all = try run(daemon, "dataset", "list", "--json").json.arrayValue ?? []
        let places = all.map {
            (created: $0["created"]?.stringValue ?? "", id: $0["dataset"]?.stringValue ?? "")
        }
        #expect(places.count == 2101 && Set(places.map(\.id)).count == 2101)
        #expect(zip(places, places.dropFirst()).allSatisfy { ($0.created, $0.id) < ($1.created, $1.id) })
        let names = try run(daemon, "dataset", "list", "--quiet").stdout.split(separator: "\n")
        #expect(names.map(String.init) == places.map(\.id))
        // Who knows of no pages gets the first.
        #expect(try page([:]).map(\.dataset.hex) == places.prefix(1000).map(\.id))
        #expect(try page(["limit": 0]).count == 1)
        func place(_ index: Int) -> JSONValue {
            ["created": .string(places[index].created), "dataset": .string(places[index].id)]
        }
        _ = try run(daemon, "dataset", "purge", places[41].id, "--yes")
        #expect(
            try page(["limit": 5, "after": place(41)]).map(\.dataset.hex) == places[42..<47].map(\.id))
        #expect(try page(["after": place(2100)]).isEmpty)
        for params: JSONValue in [["after": .string(places[0].id)], ["after": ["dataset": "x"]]] {
            let refused = try connection.request("dataset.list", params)
            #expect(refused["error"]?["data"]?["kind"] == "invalid_params", "\(params)")
        }
    }

    @Test func `a version of many files comes in pages, and goes out whole`() throws {
        let daemon = try RunningDaemon()
        let directory = daemon.directory + "/m"
        try SyntheticCheckpoint(seed: 1, matrices: 1, side: 8).write(to: directory)
        // Names so long that fewer than a thousand fill a page.
        let long = String(repeating: "n", count: 240)
        for number in 0..<1500 {
            try "\(number)".write(
                toFile: "\(directory)/\(long)\(number).txt", atomically: false, encoding: .utf8)
        }
        let written = try FileManager.default.contentsOfDirectory(atPath: directory)
        let paths = written.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        _ = try run(daemon, "model", "import", "m", directory)
        let connection = try daemon.session()
        func page(_ params: JSONValue) throws -> VersionFiles {
            try connection.result("model.files", params)
        }
        let first = try page(["version": "m"])
        #expect((1..<1000).contains(first.files.count) && first.next == first.files.last?.path)
        #expect(first.files.map(\.path) == Array(paths.prefix(first.files.count)))
        var params = JSONObject()
        params["version"] = "m@v1"
        params["limit"] = 400
        var sizes: [Int] = []
        var found: [String] = []
        repeat {
            let page = try page(.object(params))
            sizes.append(page.files.count)
            found += page.files.map(\.path)
            params["after"] = page.next.map { .string($0) }
        } while params["after"] != nil
        #expect(found == paths && sizes.dropLast().allSatisfy { $0 == 400 } && sizes.count == 4)
        #expect(try page(["version": "m", "after": .string(paths[paths.count - 1])]).files.isEmpty)
        let detail: ModelDetail = try connection.result("model.show", ["model": "m"])
        #expect(detail.files == first.files && detail.nextFile == first.next)
        let shown = try run(daemon, "model", "show", "m", "--json").json
        #expect(shown["files"]?.arrayValue?.map { $0["path"]?.stringValue } == paths)
        #expect(shown["next_file"] == nil)
        let out = daemon.directory + "/exported"
        _ = try run(daemon, "model", "export", "m", out)
        #expect(try directoryContents(out) == directoryContents(directory))
    }
}
