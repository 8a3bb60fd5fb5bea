// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// What the shell offers: asked by a real bash, with the script that the client generates.
@Suite(.timeLimit(.minutes(15)))
struct CompletionTests {
    /// What bash offers after these words, the last of which is begun.
    private func offers(
        _ words: [String], socket: String, in directory: String
    ) throws -> (words: Set<String>, errors: String, seconds: Double) {
        let quoted = words.map { "'\($0)'" }.joined(separator: " ")
        let program = Products.path("unlearnctl")
        let script = """
            PATH=\((program as NSString).deletingLastPathComponent):/usr/bin:/bin
            source <(unlearnctl --generate-completion-script bash)
            function=$(complete -p unlearnctl | sed 's/.*-F \\([^ ]*\\).*/\\1/')
            COMP_WORDS=(unlearnctl \(quoted)); COMP_CWORD=\(words.count); COMP_LINE="unlearnctl \(words.joined(separator: " "))"
            COMP_POINT=${#COMP_LINE}; COMP_TYPE=9; COMP_KEY=9
            COMP_WORDBREAKS=$' \\t\\n'
            $function unlearnctl '\(words.last ?? "")' '\(words.dropLast().last ?? "unlearnctl")'
            printf '%s\\n' "${COMPREPLY[@]}"
            """
        let (output, errors) = (directory + "/offers", directory + "/offers.err")
        try? FileManager.default.removeItem(atPath: errors)
        let begin = ContinuousClock.now
        let status = try ChildProcess(
            "/bin/bash", ["--norc", "-c", script],
            environment: ["HOME": directory, "UNLEARND_SOCKET": socket], output: output, errors: errors
        ).wait(seconds: 60)
        let time = ContinuousClock.now - begin
        #expect(status == 0)
        let lines = try String(contentsOfFile: output, encoding: .utf8).split(separator: "\n")
        return (
            Set(lines.map { $0.trimmingCharacters(in: .whitespaces) }),
            try String(contentsOfFile: errors, encoding: .utf8),
            Double(time.components.seconds) + Double(time.components.attoseconds) / 1e18
        )
    }

    @Test func `jobs, models and versions are those that there are`() throws {
        let daemon = try RunningDaemon()
        for seed in ["1", "2"] {
            let created = try daemon.ctl([
                "model", "create", "people\(seed)", "--config", ExampleModel.path("config.json"),
                "--tokenizer",
                ExampleModel.path("tokenizer.json"), "--seed", seed,
            ])
            #expect(created.status == 0, "\(created.stderr)")
        }
        let held = try daemon.ctl([
            "submit", "evaluate", "--model", "people1", "--forget", ExampleModel.path("forget.jsonl"),
            "--retain",
            ExampleModel.path("retain.jsonl"), "--hold", "--quiet",
        ]).stdout.trimmingCharacters(in: .whitespacesAndNewlines)
        func offered(_ words: String...) throws -> Set<String> {
            try offers(words, socket: daemon.socket, in: daemon.directory).words
        }
        #expect(try offered("show", "").isSuperset(of: ["1", "2", held]))
        // Only those to which the command applies.
        let releasable = try offered("release", "")
        #expect(releasable.contains(held) && !releasable.contains("1"))
        #expect(try offered("rollback", "").isSuperset(of: ["people1", "people2"]))
        #expect(try offered("model", "export", "").isSuperset(of: ["people1", "people2"]))
        #expect(try offered("model", "export", "people2@").contains("people2@v1"))
        #expect(try offered("submit", "ascent", "--model", "").isSuperset(of: ["people1", "people2"]))
    }

    @Test func `without a daemon nothing is offered and nothing is said`() throws {
        let run = try CliRun()
        let nobody = try offers(["show", ""], socket: run.socket, in: run.directory)
        #expect(nobody.errors == "")
        #expect(!nobody.words.contains { Int($0) != nil })
        // One that accepts and says nothing does not hold up the person at the keyboard.
        let listener = try SilentListener(run.socket)
        let silent = try offers(["show", ""], socket: run.socket, in: run.directory)
        #expect(silent.errors == "")
        #expect(silent.seconds - nobody.seconds < 2)
        _ = listener
    }
}
