// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// `--device cuda`: refused with a reason where there is no card, and whole jobs on a card that the processor plays.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct DeviceTests {
    private func prepared(_ environment: [String: String] = [:]) throws -> RunningDaemon {
        let daemon = try RunningDaemon(environment: environment)
        let output = try daemon.ctl([
            "model", "create", "people", "--config", ExampleModel.path("config.json"),
            "--tokenizer", ExampleModel.path("tokenizer.json"),
            "--tokenizer-config", ExampleModel.path("tokenizer_config.json"), "--seed", "3",
        ])
        #expect(output.status == 0, "\(output.stderr)")
        for (name, count) in [("forget", 4), ("retain", 4)] {
            try ExampleModel.rows("\(name).jsonl", count).write(
                toFile: "\(daemon.directory)/\(name.prefix(1)).jsonl", atomically: false, encoding: .utf8)
        }
        return daemon
    }

    private func submit(_ daemon: RunningDaemon, _ method: String, _ more: String...) throws
        -> RunningDaemon.Output
    {
        try daemon.ctl(
            [
                "submit", method, "--model", "people", "--forget", "\(daemon.directory)/f.jsonl", "--retain",
                "\(daemon.directory)/r.jsonl", "--device", "cuda",
            ] + more)
    }

    @Test func `without a card a job is refused with what is missing, and the doctor says so`() throws {
        guard !FileManager.default.fileExists(atPath: "/proc/driver/nvidia") else {
            print("skipped: this machine has NVIDIA's driver")
            return
        }
        let daemon = try prepared()
        for method in ["ascent", "evaluate"] {
            let output = try submit(daemon, method)
            #expect(output.status == ExitCode.badInput.rawValue)
            #expect(
                output.stderr.contains("libcuda.so.1") && output.stderr.contains("--device cpu"),
                "\(output.stderr)")
        }
        let doctor = try daemon.ctl(["system", "doctor"])
        #expect(doctor.status == 0 && doctor.stdout.contains("card: none: "), "\(doctor.stdout)")
    }

    @Test func `what a card cannot do is refused before anything is looked for`() throws {
        let daemon = try prepared()
        for (method, options, word) in [
            ("ascent", ["--precision", "f32"], "bf16"), ("ascent", ["--retain-loss", "kl"], "retain loss"),
            ("ascent", ["--lora-rank", "4"], "adapters"), ("rmu", [], "rmu"),
            ("npo", ["--sam-rho", "0.01"], "sharpness"),
        ] {
            let output = try daemon.ctl(
                [
                    "submit", method, "--model", "people", "--forget", "\(daemon.directory)/f.jsonl",
                    "--retain", "\(daemon.directory)/r.jsonl", "--device", "cuda",
                ] + options)
            #expect(
                output.status == ExitCode.usage.rawValue && output.stderr.contains(word), "\(output.stderr)")
        }
    }

    @Test(.enabled(if: CardEmulator.isThere))
    func `a job on the card trains, measures, and records what it was computed on`() throws {
        let daemon = try prepared(["UNLEARND_CUDA_PATH": CardEmulator.folder])
        let doctor = try daemon.ctl(["system", "doctor"])
        #expect(doctor.stdout.contains("card: processor, "), "\(doctor.stdout)")
        let plan = try submit(daemon, "ascent", "--epochs", "1", "--dry-run", "--json")
        #expect(try plan.json["estimate"]?["card"]?.integerValue ?? 0 > 32 << 20, "\(plan.stdout)")

        let output = try submit(
            daemon, "ascent", "--epochs", "1", "--learning-rate", "1e-3", "--wait", "--json")
        #expect(output.status == 0, "\(output.stderr)")
        let job = try output.json
        #expect(job["state"]?.stringValue == "succeeded" && job["version"]?.stringValue == "v2")
        let before = try #require(job["evaluation"]?["before"]?["forget_loss"]?.doubleValue)
        let after = try #require(job["evaluation"]?["after"]?["forget_loss"]?.doubleValue)
        #expect(after > before)
        let report = try daemon.ctl(["show", "\(job["id"]?.integerValue ?? 0)", "--json"])
        #expect(report.stdout.contains("\"device\":\"cuda\""))
        #expect(
            try daemon.ctl(["logs", "\(job["id"]?.integerValue ?? 0)"]).stdout.contains("bf16 on processor"))
    }
}
