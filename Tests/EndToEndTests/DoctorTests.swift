// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// `system doctor` and `system metrics`, with a real daemon and each fault really made.
@Suite(.timeLimit(.minutes(15)))
struct DoctorTests {
    private func grades(_ daemon: RunningDaemon) throws -> (status: Int32, [String: String]) {
        let output = try daemon.ctl(["system", "doctor", "--json"])
        let findings = try #require(output.json.arrayValue)
        let grades = findings.compactMap { finding in
            finding["check"]?.stringValue.map { ($0, finding["grade"]?.stringValue ?? "") }
        }
        return (output.status, Dictionary(uniqueKeysWithValues: grades))
    }

    @Test func `a healthy daemon has no faults`() throws {
        let daemon = try RunningDaemon()
        let (status, grades) = try grades(daemon)
        #expect(status == 0)
        #expect(
            grades.keys.sorted() == [
                "audit log", "card", "clock", "disk", "encryption", "kernels", "memory", "queue", "socket",
                "state directory", "store", "verification", "version",
            ])
        #expect(grades.values.allSatisfy { $0 != "fault" })
        #expect(try daemon.ctl(["system", "doctor", "--quiet"]).status == 0)
    }

    @Test func `a paused queue, an open directory and a dead daemon are found`() throws {
        let daemon = try RunningDaemon()
        #expect(try daemon.ctl(["queue", "pause"]).status == 0)
        var (status, found) = try grades(daemon)
        #expect(status == 0 && found["queue"] == "warning")
        #expect(chmod(daemon.state, 0o755) == 0)
        (status, found) = try grades(daemon)
        #expect(status == ExitCode.storage.rawValue && found["state directory"] == "fault")
        let text = try daemon.ctl(["system", "doctor"])
        #expect(text.stdout.contains("chmod 700 \(daemon.state)") && text.stdout.contains("queue resume"))
        #expect(text.stderr.contains("1 fault found"))
        #expect(chmod(daemon.state, 0o700) == 0)

        try daemon.kill()
        let dead = try daemon.ctl(["system", "doctor"])
        #expect(dead.status == ExitCode.notReachable.rawValue)
        #expect(dead.stdout.contains("its daemon has died"), "\(dead.stdout)")
    }

    @Test func `metrics are OpenMetrics text`() throws {
        let daemon = try RunningDaemon()
        let made = try daemon.ctl([
            "model", "create", "m", "--config", ExampleModel.path("config.json"),
            "--tokenizer", ExampleModel.path("tokenizer.json"), "--seed", "1",
        ])
        #expect(made.status == 0, "\(made.stderr)")
        let held = try daemon.ctl([
            "submit", "finetune", "--model", "m", "--data", ExampleModel.path("forget.jsonl"), "--hold",
            "--quiet",
        ])
        #expect(held.status == 0, "\(held.stderr)")
        let output = try daemon.ctl(["system", "metrics"])
        #expect(output.status == 0 && output.stdout.hasSuffix("\n# EOF\n"))
        var families: [String: String] = [:]
        var samples: [String: Double] = [:]
        for line in output.stdout.split(separator: "\n").dropLast() {
            let words = line.split(separator: " ", maxSplits: 3).map(String.init)
            if words[0] == "#" {
                if words[1] == "TYPE" {
                    #expect(families[words[2]] == nil, "\(words[2]) is described twice")
                    families[words[2]] = words[3]
                }
                // A unit is the end of the family's name.
                if words[1] == "UNIT" { #expect(words[2].hasSuffix("_" + words[3])) }
                continue
            }
            let name = String(line.prefix { $0 != "{" && $0 != " " })
            let family = name.hasSuffix("_info") ? String(name.dropLast(5)) : name
            #expect(families[family] != nil, "\(name) has no type")
            let place = try #require(line.lastIndex(of: " "))
            let value = try #require(Double(String(line[line.index(after: place)...])))
            samples[String(line[..<place])] = value
        }
        #expect(families["unlearnd"] == "info" && families["unlearnd_jobs"] == "gauge")
        #expect(samples[#"unlearnd_jobs{state="held"}"#] == 1)
        #expect(samples["unlearnd_models"] == 1 && samples["unlearnd_versions"] == 1)
        #expect(samples["unlearnd_queue_paused"] == 0)
        #expect(try #require(samples["unlearnd_store_free_bytes"]) > 0)
    }
}
