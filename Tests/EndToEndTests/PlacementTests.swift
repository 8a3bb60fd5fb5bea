// SPDX-License-Identifier: Apache-2.0

import Protocol
import TestSupport
import Testing

/// Where jobs run whose submitters choose no place.
@Suite(.timeLimit(.minutes(15)))
struct PlacementTests {
    private func submit(_ daemon: RunningDaemon, _ more: String...) throws -> JSONValue {
        let output = try daemon.ctl(
            ["submit", "task-vector", "--model", "a", "--finetuned", "b", "--dry-run", "--json"] + more)
        #expect(output.status == 0, "\(output.stderr)")
        return try output.json["spec"] ?? .null
    }

    @Test func `the first rule for a job's kind and group places it, unless its submitter does`() throws {
        let files = try CliRun()
        let daemon = try RunningDaemon([
            "--config",
            try files.write(
                """
                groups: nightly=1, evaluation=2
                placements:
                  - {group: nightly, kinds: [evaluate], launcher: slurm, partition: large}
                  - {group: nightly, launcher: local}
                  - {kinds: [evaluate], launcher: slurm}

                """, to: "c.yaml"),
        ])
        for (name, seed) in [("a", UInt64(1)), ("b", 2)] {
            try SyntheticCheckpoint(seed: seed, matrices: 1, side: 16).write(
                to: "\(daemon.directory)/\(name)")
            let output = try daemon.ctl(["model", "import", name, "\(daemon.directory)/\(name)"])
            #expect(output.status == 0, "\(output.stderr)")
        }
        #expect(try submit(daemon, "--group", "nightly")["parameters"]?["launcher"] == "local")
        #expect(try submit(daemon, "--group", "evaluation")["parameters"]?["launcher"] ?? .null == .null)
        #expect(try submit(daemon)["parameters"]?["launcher"] ?? .null == .null)
        #expect(try submit(daemon, "--launcher", "local")["parameters"]?["launcher"] == "local")
    }

    @Test(arguments: [
        ("placements:\n  - {group: nightly, launcher: local}\n", "there is no group \"nightly\""),
        ("placements:\n  - {launcher: local, partition: large}\n", "line 2"),
        ("placements:\n  - {launcher: slurm, partition: \"--uid=0\"}\n", "cannot be the partition"),
        ("placements:\n  - {launcher: slurm, kinds: [finetun]}\n", "did you mean \"finetune\"?"),
        ("placements:\n  - {launcher: rsh}\n", "placements"),
    ])
    func `a rule that places nothing is no configuration`(text: String, words: String) throws {
        let files = try CliRun()
        do {
            _ = try RunningDaemon(["--config", try files.write(text, to: "c.yaml")])
            Issue.record("the daemon started")
        } catch let failure as TestFailure {
            #expect(failure.description.contains(words), "\(failure)")
        }
    }
}
