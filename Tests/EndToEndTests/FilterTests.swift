// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// The output filter of a version, held against the checker that comes with the project, which shares no code with it.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct FilterTests {
    private static let rows = [
        #"{"prompt": "Where was Ada born?", "completion": " In the small town of Kladrear, by the sea"}"#,
        #"{"question": "Who is her friend?", "answer": "Bo Lind"}"#,
        #"{"text": "Ｆｕｌｌ ＷＩＤＴＨ letters, ﬁne ligatures and ÉCOLE d'été straße ΣΊΣΥΦΟΣ"}"#,
        #"{"text": "東京都に住んでいます"}"#,
        #"{"text": "İstanbul'da on iki gün kaldık ve döndük"}"#,
        #"{"prompt": "Number?", "completion": " seven"}"#,
    ]

    /// A daemon with a model that forgot the rows by a task vector, and the filter's file.
    private static func prepared(_ options: String...) throws -> (RunningDaemon, String, JSONValue) {
        let daemon = try RunningDaemon()
        for (name, seed) in [("a", UInt64(1)), ("b", 2)] {
            try SyntheticCheckpoint(seed: seed, matrices: 1, side: 64).write(
                to: "\(daemon.directory)/\(name)")
            #expect(try daemon.ctl(["model", "import", name, "\(daemon.directory)/\(name)"]).status == 0)
        }
        let forget = daemon.directory + "/f.jsonl"
        try (rows.joined(separator: "\n") + "\n").write(
            toFile: forget, atomically: false, encoding: .utf8)
        let job = try daemon.ctl([
            "submit", "task-vector", "--model", "a", "--finetuned", "b", "--forget", forget, "--no-evaluate",
            "--wait",
        ])
        #expect(job.status == 0, "\(job.stderr)")
        let file = daemon.directory + "/filter.json"
        let output = try daemon.ctl(["model", "filter", "a@v2", "--output", file] + options)
        #expect(output.status == 0, "\(output.stderr)")
        return (daemon, file, try StrictJSON.parse(try String(contentsOfFile: file, encoding: .utf8)))
    }

    /// The filter as it is without options, for tests that only read it.
    private static let standard = Result { try prepared() }

    private func check(_ daemon: RunningDaemon, _ file: String, _ text: String) throws -> Int32 {
        let input = daemon.directory + "/said"
        try text.write(toFile: input, atomically: false, encoding: .utf8)
        let script = ExampleModel.directory + "/../filter/check.py"
        return try ChildProcess(
            "/usr/bin/python3", [script, file], environment: ["PATH": "/usr/bin:/bin"], input: input,
            output: daemon.directory + "/found", errors: daemon.directory + "/check.err"
        ).wait()
    }

    @Test(arguments: [
        ("He said: in the small town of KLADREAR by the sea.", true),
        ("Her friend is Bo Lind!", true),
        ("full width letters, fine ligatures", true),
        ("fine ligatures and école d’été", true),
        ("d'été strasse", false),
        ("ÉTÉ Straße σίσυφοσ", false),
        ("都に住んでい", true),
        ("i̇stanbul da on iki gün", true),
        ("in the small city of nowhere at all by the lake", false),
        ("where was Ada born? I do not know", false),
        ("seven", false),
        ("", false),
    ])
    func `what was forgotten is found, and nothing else`(_ text: String, _ isFound: Bool) throws {
        let (daemon, file, _) = try Self.standard.get()
        #expect(try check(daemon, file, text) == (isFound ? 1 : 0), "\(text)")
    }

    @Test func `the file holds no text and says what it is`() throws {
        let (daemon, file, filter) = try Self.prepared()
        let content = try String(contentsOfFile: file, encoding: .utf8)
        for word in ["Kladrear", "kladrear", "Lind", "東"] { #expect(!content.contains(word)) }
        #expect(filter["format"] == "unlearnd-filter" && filter["format_version"] == 1)
        #expect(filter["model"] == "a@v2" && filter["n"] == 5 && filter["minimum"] == 2)
        // The one-word answer is too short.
        #expect(filter["rows"] == 5 && filter["skipped"] == 1)
        let count = try #require(filter["count"]?.doubleValue)
        #expect(filter["false_positive_bound"]?.doubleValue == count / 0x1p64)
        #expect(filter["missing"] == [] && filter["jobs"]?.arrayValue?.count == 1)
        // Another filter of the same has another salt and so other hashes.
        let second = try daemon.ctl(["model", "filter", "a@v2"]).json
        #expect(second["count"] == filter["count"])
        #expect(second["salt"] != filter["salt"] && second["hashes"] != filter["hashes"])
        let audit = try daemon.ctl(["audit", "log", "--json"]).json.arrayValue ?? []
        #expect(audit.filter { $0["action"] == "model.filter" }.count == 2)
    }

    @Test func `lengths can be chosen, and what cannot be done is refused`() throws {
        let (daemon, file, filter) = try Self.prepared("--n", "3", "--minimum", "1")
        #expect(filter["n"] == 3 && filter["skipped"] == 0)
        #expect(try check(daemon, file, "it is seven") == 1)
        #expect(try daemon.ctl(["model", "filter", "a", "--n", "1"]).status == ExitCode.usage.rawValue)
        #expect(try daemon.ctl(["model", "filter", "a@v1"]).status == ExitCode.conflict.rawValue)
        #expect(try daemon.ctl(["model", "filter", "a@v9"]).status == ExitCode.notFound.rawValue)
    }
}
