// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// TOFU and MUSE from files of their own form, and the figures of extra sets, on two trained models.
@Suite(
    .enabled(
        if: SharedData.path("models/tofu-tiny/full/config.json") != nil, "the trained models are not there"),
    .timeLimit(.minutes(15)))
struct BenchmarkPresetTests {
    private let daemon: RunningDaemon

    init() throws {
        daemon = try RunningDaemon()
        for name in ["full", "retrained"] {
            let folder = try #require(SharedData.path("models/tofu-tiny/\(name)"))
            _ = try run("model", "import", name, folder)
        }
    }

    private func run(_ arguments: String...) throws -> RunningDaemon.Output {
        let output = try daemon.ctl(arguments)
        #expect(output.status == 0, "\(arguments): \(output.stderr)")
        return output
    }

    /// The first rows of a shared file under a name of the benchmark.
    private func head(_ file: String, _ rows: Int, to name: String) throws {
        let text = try String(contentsOfFile: #require(SharedData.path(file)), encoding: .utf8)
        let lines = text.split(separator: "\n").prefix(rows).joined(separator: "\n") + "\n"
        try write(lines, to: name)
    }

    private func write(_ text: String, to name: String) throws {
        let path = "\(daemon.directory)/\(name)"
        try FileManager.default.createDirectory(
            atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        try text.write(toFile: path, atomically: false, encoding: .utf8)
    }

    private func writeTofu() throws {
        for name in [
            "forget10_perturbed", "retain_perturbed", "real_authors_perturbed", "world_facts_perturbed",
        ] {
            try head("data/tofu/\(name).json", 6, to: "tofu/\(name).json")
        }
        try head("data/tofu/retain90.json", 12, to: "tofu/retain90.json")
        try head("models/tofu-tiny/data/holdout.jsonl", 8, to: "tofu/holdout10.jsonl")
    }

    @Test func `TOFU runs from its files, with rows, limits and a reference`() throws {
        try writeTofu()
        let job = try run(
            "submit", "evaluate", "--model", "full", "--reference", "retrained", "--preset", "tofu",
            "--preset-data", daemon.directory + "/tofu", "--max-new-tokens", "48", "--wait", "--json"
        ).json
        let evaluation = try #require(job["evaluation"])
        let (after, reference) = (try #require(evaluation["after"]), try #require(evaluation["reference"]))
        func set(_ figures: JSONValue, _ set: String, _ figure: String) throws -> Double {
            try #require(figures["sets"]?[set]?[figure]?.doubleValue, "\(set) \(figure)")
        }
        #expect(try set(after, "forget", "probability") > 0.95)
        #expect(try set(reference, "forget", "probability") < 0.1)
        #expect(try set(after, "forget", "rouge_l") > set(reference, "forget", "rouge_l"))
        #expect(try set(after, "forget", "truth_ratio") < set(reference, "forget", "truth_ratio"))
        #expect(try set(after, "real_authors", "normalized_probability") > 0)
        // Six rows against six: the statistic is a sixth's multiple.
        let statistic = try #require(after["ks_statistic"]?.doubleValue)
        #expect(abs(statistic * 6 - (statistic * 6).rounded()) < 1e-12)
        #expect(after["ks_basis"] == "truth_ratio" && reference["ks_p"] == 1)
        // Nine parts: retain_perturbed, real authors, world facts.
        var parts: [Double] = []
        for (name, probability) in [
            ("retain", "probability"), ("real_authors", "normalized_probability"),
            ("world_facts", "normalized_probability"),
        ] {
            parts += try [probability, "rouge_l", "truth_ratio"].map { try set(after, name, $0) }
        }
        let utility = parts.contains(0) ? 0 : 9 / parts.reduce(0) { $0 + 1 / $1 }
        #expect(abs(try #require(after["model_utility"]?.doubleValue) - utility) < 1e-12)
        #expect(after["membership"]?["min_k_plus"]?["auc"]?.doubleValue == 1)
        #expect(after["privleak"]?.doubleValue ?? 0 < -90)
        #expect(evaluation["limits"]?.arrayValue?.isEmpty == false)

        let id = try #require(job["id"]?.integerValue)
        let evidence: JSONValue = try daemon.session().result(
            "job.evidence", ["job": .integer(id), "name": "rows"])
        let rows = try #require(evidence["pieces"]?.arrayValue?.first?["data"]?["sets"]?.arrayValue)
        #expect(rows.count == 10, "two versions, five sets")
        let forget = try #require(rows.first { $0["role"] == "after" && $0["set"] == "forget" })
        #expect(forget["columns"]?["truth_ratio_log"]?.arrayValue?.count == 6)
        #expect(!forget.serializedString().contains("Hsiao"), "numbers without texts")
        let report = try run("report", "\(id)").stdout
        #expect(report.contains("model utility") && report.contains("Membership inference says how far"))
    }

    @Test func `a method takes TOFU's rows, and its gate TOFU's figures`() throws {
        try writeTofu()
        let output = try daemon.ctl([
            "submit", "ascent", "--model", "full", "--reference", "retrained", "--preset", "tofu",
            "--preset-data", daemon.directory + "/tofu", "--epochs", "1", "--learning-rate", "1e-6",
            "--gate", "ks_p>=0.9,extraction_strength<=0.2,verbatim_run<=10,utility>=0.5", "--max-new-tokens",
            "48",
            "--wait", "--json",
        ])
        #expect(output.status == 3, "\(output.stderr)")
        let job = try output.json
        let conditions = job["gate"]?["conditions"]?.arrayValue ?? []
        #expect(conditions.map { $0["passed"] } == [false, false, false, true])
        #expect(conditions.allSatisfy { $0["measured"] != .null })
        // The gate looks at runs, so continuations were made, and both sides have model utility.
        #expect(job["evaluation"]?["before"]?["model_utility"]?.doubleValue != nil)
        #expect(job["evaluation"]?["before"]?["sets"]?["retain_perturbed"] != nil)
    }

    @Test func `MUSE runs from its files`() throws {
        func quoted(_ text: String) -> String { JSONValue.string(text).serializedString() }
        func questions(_ names: [String]) -> String {
            "["
                + names.map {
                    "{\"question\": \"Where was \($0) born?\", \"answer\": \"In a town by the sea.\"}"
                }
                .joined(separator: ",\n") + "]"
        }
        for (name, first) in [("forget", "A"), ("retain", "B"), ("holdout", "C")] {
            let texts = (1...4).map {
                "\(first) story number \($0) about an author who was born in a town by the sea."
            }
            try write("[" + texts.map(quoted).joined(separator: ", ") + "]", to: "muse/privleak/\(name).json")
        }
        for name in ["forget", "retain"] {
            try write(questions(["Ada", "Ben"]), to: "muse/knowmem/\(name)_qa.json")
            try write(questions(["Cy"]), to: "muse/knowmem/\(name)_qa_icl.json")
        }
        try write(
            #"[{"prompt": "Question: Who are you?\nAnswer:", "gt": " The author's full name is Hsiao Yun-Hwa."}]"#,
            to: "muse/verbmem/forget.json")
        let job = try run(
            "submit", "evaluate", "--model", "full", "--reference", "retrained", "--preset", "muse",
            "--preset-data", daemon.directory + "/muse", "--max-length", "256", "--wait", "--json"
        ).json
        let after = try #require(job["evaluation"]?["after"])
        for name in ["verbmem", "knowmem_forget", "knowmem_retain"] {
            #expect(after["sets"]?[name]?["rouge_l_f"]?.doubleValue != nil, "\(name)")
        }
        #expect(after["privleak"]?.doubleValue != nil)
        let sets = job["spec"]?["utility"]?.arrayValue ?? []
        #expect(sets.map { $0["max_new_tokens"] } == [128, 32, 32])
    }

    @Test func `faults of sets, presets, metrics and gates are found before anything is queued`() throws {
        try writeTofu()
        let tofu = daemon.directory + "/tofu"
        let base = ["submit", "evaluate", "--model", "full"]
        let cases: [([String], Int32, String)] = [
            (base + ["--preset", "tofu"], 64, "--preset-data"),
            (
                base + ["--preset", "tofu", "--preset-data", tofu, "--split", "forget05"], 65,
                "forget05_perturbed"
            ),
            (base + ["--preset", "tofu", "--preset-data", tofu, "--split", "hide"], 64, "forget01"),
            (base + ["--split", "forget10", "--forget", "\(tofu)/retain90.json"], 64, "preset"),
            (base + ["--preset", "muse", "--preset-data", tofu], 65, "privleak"),
            (base + ["--metrics", "roug", "--forget", "\(tofu)/retain90.json"], 64, "did you mean rouge"),
            (base + ["--utility", "forget=\(tofu)/retain90.json"], 64, "utility"),
            (
                ["submit", "ascent", "--model", "full", "--forget", "\(tofu)/retain90.json", "--alpha", "1"]
                    + ["--gate", "relearn_gap<=0.1"], 64, "relearn_gap"
            ),
            (
                ["submit", "ascent", "--model", "full", "--forget", "\(tofu)/retain90.json", "--alpha", "1"]
                    + ["--gate", "ks_p>=0.05"], 64, "--reference"
            ),
        ]
        for (arguments, status, text) in cases {
            let output = try daemon.ctl(arguments)
            #expect(output.status == status, "\(arguments): \(output.stderr)")
            #expect(output.stderr.contains(text), "\(arguments): \(output.stderr)")
        }
        #expect(try run("ps", "--json").json.arrayValue?.contains { $0["kind"] == "evaluate" } != true)
    }
}
