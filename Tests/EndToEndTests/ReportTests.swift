// SPDX-License-Identifier: Apache-2.0

import Foundation
import FoundationXML
import Glibc
import Protocol
import TestSupport
import Testing

/// The report of a real job on the example model, in all its forms.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct ReportTests {
    private static let hostile = "4711 <script>alert(1)</script> & \"quotes\" </td>\u{202E}\u{1B}[31m"

    /// A daemon with a model that was trained for a moment and made to forget: job 3 has a gate, holdout and a
    /// hostile note.
    private static let prepared = Result { () throws -> RunningDaemon in
        let daemon = try RunningDaemon()
        func run(_ arguments: String...) throws {
            let output = try daemon.ctl(arguments, seconds: 240)
            guard output.status == 0 else { throw TestFailure("\(arguments): \(output.stderr)") }
        }
        func rows(_ name: String, _ count: Int) throws -> String {
            let path = "\(daemon.directory)/\(name)"
            try ExampleModel.rows(name, count).write(toFile: path, atomically: false, encoding: .utf8)
            return path
        }
        try run(
            "model", "create", "people", "--config", ExampleModel.path("config.json"), "--tokenizer",
            ExampleModel.path("tokenizer.json"), "--tokenizer-config",
            ExampleModel.path("tokenizer_config.json"), "--seed", "1")
        let (forget, retain) = (try rows("forget.jsonl", 24), try rows("retain.jsonl", 48))
        let holdout = try rows("holdout.jsonl", 24)
        // A row whose text is markup, first so that it is among the samples.
        let odd =
            #"{"prompt": "</q><img src=x onerror=alert(1)>", "completion": " <b>&amp; | `x`</b>"}"# + "\n"
        try (odd + ExampleModel.rows("forget.jsonl", 24)).write(
            toFile: forget, atomically: false, encoding: .utf8)
        try run(
            "submit", "finetune", "--model", "people", "--data", retain, "--epochs", "2", "--learning-rate",
            "1e-3", "--batch-size", "16", "--wait")
        try run(
            "submit", "ascent", "--model", "people", "--forget", forget, "--retain", retain, "--holdout",
            holdout, "--reference", "people@v1", "--epochs", "2", "--learning-rate", "1e-4", "--batch-size",
            "16", "--gate", "retain>=0,forget<=1", "--need", "privacy", "--label", "request=4711",
            "--note", hostile, "--wait")
        return daemon
    }

    private func page(_ daemon: RunningDaemon, job: String = "3") throws -> String {
        let output = try daemon.ctl(["report", job, "--html", "-"])
        #expect(output.status == 0, "\(output.stderr)")
        return output.stdout
    }

    /// What the parser saw.
    private final class Reader: NSObject, XMLParserDelegate {
        var elements: [String: Int] = [:]
        var ids: Set<String> = []
        var text = ""
        var references: [String] = []
        var tableRows: [[String]] = []
        private var cell: String?

        func parser(
            _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
            attributes: [String: String]
        ) {
            elements[name, default: 0] += 1
            if let id = attributes["id"] { ids.insert(id) }
            for key in ["href", "src", "xlink:href"] {
                if let value = attributes[key] { references.append(value) }
            }
            if name == "tr" { tableRows.append([]) }
            if name == "th" || name == "td" { cell = "" }
        }

        func parser(
            _ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?
        ) {
            if name == "th" || name == "td", let done = cell {
                tableRows[tableRows.count - 1].append(done)
                cell = nil
            }
        }

        func parser(_ parser: XMLParser, foundCharacters string: String) {
            text += string
            cell = cell.map { $0 + string }
        }
    }

    private func read(_ page: String) throws -> Reader {
        let parser = XMLParser(data: Data(page.utf8))
        let reader = Reader()
        parser.delegate = reader
        #expect(parser.parse(), "\(String(describing: parser.parserError)) in line \(parser.lineNumber)")
        return reader
    }

    @Test func `the page is well formed, has every section, and shows figures that the job has`() throws {
        let daemon = try Self.prepared.get()
        let reader = try read(try page(daemon))
        for id in [
            "outcome", "gate", "asked", "versions", "measured", "samples", "training", "changed", "made",
            "limits",
        ] {
            #expect(reader.ids.contains(id), "\(id) is missing")
        }
        let job = try daemon.ctl(["show", "3", "--json"]).json
        let digest = try #require(job["digest"]?.stringValue)
        #expect(reader.text.contains(digest))
        let forget = try #require(job["spec"]?["forget"]?.stringValue)
        #expect(reader.text.contains("25 rows") && reader.text.contains(forget))
        let auc = try #require(job["evaluation"]?["after"]?["membership_inference_auc"]?.doubleValue)
        let row = try #require(reader.tableRows.first { $0.first == "membership inference AUC" })
        #expect(row.count == 4 && abs((Double(row[2]) ?? 9) - auc) < 1e-3, "\(row)")
        #expect(reader.text.contains("Approximate unlearning is no guarantee"))
        #expect(reader.text.contains("request=4711"))
        // Losses by epoch at least.
        #expect(reader.elements["svg"] ?? 0 >= 1 && reader.elements["title"] ?? 0 >= 2)
        #expect(reader.elements["svg"] == (reader.elements["desc"] ?? 0))
    }

    @Test func `nothing is loaded from anywhere, and no text becomes markup`() throws {
        let daemon = try Self.prepared.get()
        let page = try page(daemon)
        let reader = try read(page)
        #expect(
            reader.elements["script"] == nil && reader.elements["img"] == nil && reader.elements["b"] == nil)
        #expect(reader.elements["link"] == nil && reader.elements["iframe"] == nil)
        #expect(reader.references.allSatisfy { $0.hasPrefix("#") }, "\(reader.references)")
        #expect(!page.contains("url(") && !page.contains("@import"))
        #expect(page.contains("default-src 'none'") || page.contains("default-src &#39;none&#39;"))
        // The texts are there, as texts.
        #expect(reader.text.contains("<script>alert(1)</script> & \"quotes\" </td>"))
        #expect(reader.text.contains("</q><img src=x onerror=alert(1)>"))
        #expect(reader.text.contains("\\u{202e}") && reader.text.contains("\\u{1b}"))
        #expect(!page.unicodeScalars.contains("\u{202E}") && !page.unicodeScalars.contains("\u{1B}"))
    }

    @Test func `the worker hands over samples, the difference of the tensors and the environment`() throws {
        let daemon = try Self.prepared.get()
        let report = try daemon.ctl(["report", "3", "--json"]).json
        let evidence = try #require(report["evidence"])
        let samples = try #require(evidence["samples"])
        let rows = try #require(samples["data"]?["rows"]?.arrayValue)
        #expect(rows.count == 5)
        #expect(
            rows.compactMap { $0["set"]?.stringValue } == ["forget", "forget", "forget", "retain", "retain"])
        #expect(rows.allSatisfy { $0["before"]?.boolValue != nil && $0["reference"]?.boolValue != nil })
        let texts = try #require(samples["texts"]?["rows"]?.arrayValue)
        #expect(texts.first?["prompt"] == "</q><img src=x onerror=alert(1)>")
        #expect(texts.first?["expected"] == " <b>&amp; | `x`</b>")
        #expect(texts.allSatisfy { $0["after"]?.stringValue != nil })
        // No text of a row stands among the numbers.
        #expect(!(samples["data"]?.serializedString().contains("onerror") ?? true))
        let diff = try #require(evidence["diff"]?["data"])
        let own = try daemon.ctl(["model", "diff", "people@v2", "people@v3", "--json"]).json.arrayValue ?? []
        #expect(diff["total"]?.integerValue == Int64(own.count))
        #expect(diff["changed"]?.integerValue == Int64(own.filter { $0["changed"] == true }.count))
        let norms = diff["tensors"]?.arrayValue?.compactMap { $0["relative_l2"]?.doubleValue } ?? []
        #expect(norms.count == own.count && norms == norms.sorted(by: >))
        #expect(evidence["environment"]?["data"]?["kernels"]?.stringValue?.isEmpty == false)
        #expect(evidence["environment"]?["data"]?["peak_memory"]?.integerValue ?? 0 > 1 << 20)
        #expect(report["job"]?["id"] == 3 && report["limits"]?.arrayValue?.isEmpty == false)
        let sets = report["datasets"]?.arrayValue?.compactMap { $0["rows"]?.integerValue }
        #expect(sets?.sorted() == [24, 25, 48])
    }

    @Test func `Markdown and terminal say the same, and cannot be steered by texts`() throws {
        let daemon = try Self.prepared.get()
        let path = daemon.directory + "/report.md"
        #expect(try daemon.ctl(["report", "3", "--markdown", path]).status == 0)
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
        let markdown = try String(contentsOfFile: path, encoding: .utf8)
        for title in ["## Outcome", "## Measured", "## What the model says", "## Limits"] {
            #expect(markdown.contains(title))
        }
        #expect(!markdown.contains("<script>") && !markdown.contains("<img") && markdown.contains("&lt;img"))
        let terminal = try daemon.ctl(["report", "3"]).stdout
        #expect(terminal.contains("Report on job 3") && terminal.contains("no guarantee"))
        #expect(!terminal.unicodeScalars.contains("\u{1B}"))
    }

    @Test func `without measuring there are no samples and no difference, and the report says so`() throws {
        let daemon = try Self.prepared.get()
        let output = try daemon.ctl([
            "submit", "ascent", "--model", "people@v2", "--forget", daemon.directory + "/forget.jsonl",
            "--retain", daemon.directory + "/retain.jsonl", "--epochs", "1", "--no-evaluate", "--wait",
            "--json",
        ])
        #expect(output.status == 0, "\(output.stderr)")
        let job = try #require(try output.json["id"]?.integerValue)
        let report = try daemon.ctl(["report", "\(job)", "--json"]).json
        #expect(report["evidence"]?.objectValue?.keys == ["environment"])
        let reader = try read(try page(daemon, job: "\(job)"))
        #expect(reader.text.contains("Nothing was measured"))
    }

    @Test func `a real browser shows the page and prints it`() throws {
        let browser = ["chromium", "chromium-browser", "google-chrome"].lazy.map { "/usr/bin/" + $0 }
            .first { access($0, X_OK) == 0 }
        guard let browser else {
            print("skipped: no chromium here to open the report with (apt-get install chromium)")
            return
        }
        let daemon = try Self.prepared.get()
        let (file, pdf) = (daemon.directory + "/report.html", daemon.directory + "/report.pdf")
        #expect(try daemon.ctl(["report", "3", "--html", file]).status == 0)
        func open(_ arguments: String...) throws -> String {
            let out = daemon.directory + "/browser.out"
            let process = try ChildProcess(
                browser,
                [
                    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                    "--user-data-dir=\(daemon.directory)/profile",
                ] + arguments + ["file://" + file],
                environment: ["PATH": "/usr/bin:/bin", "HOME": daemon.directory], output: out,
                errors: daemon.directory + "/browser.err")
            #expect(try process.wait(seconds: 120) == 0)
            return try String(contentsOfFile: out, encoding: .utf8)
        }
        let seen = try open("--dump-dom")
        for id in ["outcome", "measured", "samples", "limits"] { #expect(seen.contains("id=\"\(id)\"")) }
        #expect(!seen.contains("<img") && seen.contains("&lt;img"))
        _ = try open("--print-to-pdf=\(pdf)", "--no-pdf-header-footer")
        let printed = try Data(contentsOf: URL(fileURLWithPath: pdf))
        #expect(printed.prefix(5) == Data("%PDF-".utf8) && printed.count > 10_000)
    }

    @Test func `a sweep is ranked, drawn, and its best promoted by the command that is printed`() throws {
        let daemon = try Self.prepared.get()
        let output = try daemon.ctl(
            [
                "submit", "ascent", "--model", "people@v2", "--forget", daemon.directory + "/forget.jsonl",
                "--retain", daemon.directory + "/retain.jsonl", "--epochs", "1", "--batch-size", "16",
                "--sweep", "learning-rate=1e-5,1e-4", "--sweep", "alpha=0.2,0.5", "--gate", "retain>=0",
                "--wait",
            ], seconds: 240)
        #expect(output.status == 0, "\(output.stderr)")
        #expect(output.stdout.contains("learning_rate") && output.stdout.contains("alpha"))
        let line = output.stdout.split(separator: "\n").first { $0.contains("unlearnctl promote") }
        let words = try #require(line).split(separator: " ").map(String.init)
        let version = try #require(words.first { $0.hasPrefix("people@v") })
        let history = try daemon.ctl(["model", "history", "people", "--json"]).json.arrayValue ?? []
        #expect(history.filter { $0["candidate"] == true }.count >= 4)
        #expect(history.first { $0["head"] == true }?["version"] != .string(String(version.dropFirst(7))))
        let job = try #require(history.last?["job"]?.integerValue)
        let reader = try read(try page(daemon, job: "\(job)"))
        #expect(reader.ids.contains("sweep") && reader.text.contains("unlearnctl promote \(version)"))
        #expect(reader.elements["circle"] ?? 0 >= 4)
        let ranked = try daemon.ctl(["report", "\(job)", "--json"]).json["sweep"]?.arrayValue ?? []
        #expect(ranked.count == 4 && ranked.first?["version"]?.stringValue == String(version.dropFirst(7)))
        #expect(try daemon.ctl(["promote", version, "--reason", "best of the sweep"]).status == 0)
        // In use, it is no candidate any more, and nothing says how to promote it.
        let number = String(version.dropFirst(7))
        let best = try #require(history.first { $0["version"]?.stringValue == number }?["job"]?.integerValue)
        for command in ["report", "show"] {
            let text = try daemon.ctl([command, "\(best)"]).stdout
            #expect(
                text.contains("\(version) is the head now") && !text.contains("To take this one"), "\(text)")
            #expect(!text.contains("unlearnctl promote"), "\(text)")
        }
    }

    @Test func `model show names the versions that still know what was forgotten`() throws {
        let daemon = try RunningDaemon()
        try SyntheticCheckpoint(seed: 1, matrices: 2, side: 64).write(to: daemon.directory + "/a")
        try SyntheticCheckpoint(seed: 2, matrices: 2, side: 64).write(to: daemon.directory + "/b")
        for name in ["a", "b"] {
            #expect(try daemon.ctl(["model", "import", name, "\(daemon.directory)/\(name)"]).status == 0)
        }
        let forget = daemon.directory + "/f.jsonl"
        try "{\"text\": \"something to be forgotten\"}\n".write(
            toFile: forget, atomically: false, encoding: .utf8)
        let job = try daemon.ctl([
            "submit", "task-vector", "--model", "a", "--finetuned", "b", "--forget", forget, "--no-evaluate",
            "--wait", "--json",
        ]).json
        let shown = try daemon.ctl(["model", "show", "a", "--json"]).json["requests"]?.arrayValue
        #expect(shown?.count == 1)
        #expect(shown?.first?["job"] == job["id"] && shown?.first?["version"] == "v2")
        #expect(shown?.first?["known_by"] == ["v1"])
        #expect(try daemon.ctl(["model", "show", "a"]).stdout.contains("STILL KNOWN BY"))
        // A rolled back head knows it again: no request is behind it.
        #expect(try daemon.ctl(["rollback", "a", "--to", "v1"]).status == 0)
        let undone = try daemon.ctl(["show", "\(job["id"]?.integerValue ?? 0)"]).stdout
        #expect(undone.contains("another version is the head now"), "\(undone)")
        #expect(try daemon.ctl(["model", "show", "a", "--json"]).json["requests"] == [])
    }

    @Test func `an answer of no words is shown as empty, in every form`() throws {
        let daemon = try RunningDaemon()
        func run(_ arguments: String...) throws -> RunningDaemon.Output {
            let output = try daemon.ctl(arguments, seconds: 240)
            #expect(output.status == 0, "\(arguments): \(output.stderr)")
            return output
        }
        _ = try run(
            "model", "create", "people", "--config", ExampleModel.path("config.json"), "--tokenizer",
            ExampleModel.path("tokenizer.json"), "--tokenizer-config",
            ExampleModel.path("tokenizer_config.json"), "--seed", "1")
        let forget = daemon.directory + "/f.jsonl"
        try ExampleModel.rows("forget.jsonl", 2).write(toFile: forget, atomically: false, encoding: .utf8)
        // Taught to end, with the tokenizer's <|endoftext|>, where an answer would begin.
        let end: Int64 = 0
        var rows = ""
        for line in try ExampleModel.rows("forget.jsonl", 2).split(separator: "\n") {
            let prompt = try #require(try StrictJSON.parse(String(line))["prompt"]?.stringValue)
            let ids = try run("tokenize", "people", "--special", "--text", prompt, "--json").json.arrayValue
            let numbers = (ids ?? []).compactMap(\.integerValue)
            let labels = numbers.map { _ in "-100" } + ["\(end)"]
            rows +=
                "{\"input_ids\": [\((numbers + [end]).map { "\($0)" }.joined(separator: ","))], \"labels\": [\(labels.joined(separator: ","))]}\n"
        }
        let silent = daemon.directory + "/s.jsonl"
        try rows.write(toFile: silent, atomically: false, encoding: .utf8)
        _ = try run(
            "submit", "finetune", "--model", "people", "--data", silent, "--epochs", "60", "--learning-rate",
            "1e-3", "--no-evaluate", "--wait")
        _ = try run("submit", "evaluate", "--model", "people", "--forget", forget, "--wait")
        let job = try run("ps", "--all", "--quiet").stdout.split(separator: "\n").compactMap { Int($0) }.max()
        let page = try self.page(daemon, job: "\(job ?? 0)")
        #expect(page.contains("<em class=\"purged\">[empty]</em>") && !page.contains("<q></q>"))
        let markdown = try run("report", "\(job ?? 0)", "--markdown", "-").stdout
        #expect(markdown.contains(": [empty]") && !markdown.contains("“”"), "\(markdown)")
        let terminal = try run("report", "\(job ?? 0)").stdout
        #expect(terminal.contains("[empty]"))
    }
}
