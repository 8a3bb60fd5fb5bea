// SPDX-License-Identifier: Apache-2.0

import Protocol
import TestSupport
import Testing

/// Candidates whose time is over go without anybody asking.
@Suite(.timeLimit(.minutes(2)))
struct CandidateExpiryTests {
    @Test func `the running daemon gives up candidates whose time is over`() throws {
        let daemon = try RunningDaemon()
        for (name, seed) in [("a", UInt64(1)), ("tuned", 2)] {
            try SyntheticCheckpoint(seed: seed, matrices: 1, side: 64).write(
                to: "\(daemon.directory)/\(name)")
            let output = try daemon.ctl(["model", "import", name, "\(daemon.directory)/\(name)"])
            try #require(output.status == 0, "\(output.stderr)")
        }
        // The second one's base is no longer head: it is kept as a candidate.
        for model in ["a", "a@v1"] {
            let scale = model == "a" ? "1" : "0.5"
            let output = try daemon.ctl([
                "submit", "task-vector", "--model", model, "--finetuned", "tuned", "--scale", scale, "--wait",
            ])
            try #require(output.status == 0, "\(output.stderr)")
        }
        func versions() throws -> [String] {
            try daemon.ctl(["model", "history", "a", "--json"]).json.arrayValue?
                .filter { $0["candidate"] == true && $0["purged"] != true }
                .compactMap { $0["version"]?.stringValue } ?? []
        }
        #expect(try versions() == ["v3"])
        #expect(try daemon.stop() == 0)
        try daemon.start(environment: ["UNLEARND_CANDIDATE_DEPTH": "0", "UNLEARND_CANDIDATE_DAYS": "0"])
        try daemon.eventually("v3 expires") { daemon.log.contains("candidates expired: a@v3") }
        #expect(try daemon.ctl(["store", "verify"]).status == 0)
        #expect(try daemon.stop() == 0)
    }
}
