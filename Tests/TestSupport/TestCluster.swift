// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc

/// The cluster that scripts/test-cluster has made: one node with two processors.
package struct TestCluster: Sendable {
    /// Its directory, with slurm.conf and the program `control`.
    package let directory: String
    /// The node's name.
    package let node: String

    /// The cluster that the environment names, if it does.
    package init?() {
        guard let directory = ProcessInfo.processInfo.environment["UNLEARN_CLUSTER"] else { return nil }
        self.directory = directory
        node = String(ProcessInfo.processInfo.hostName.prefix { $0 != "." })
    }

    /// What a daemon needs to find it; one processor for each process.
    package var environment: [String: String] {
        ["SLURM_CONF": directory + "/slurm.conf", "UNLEARND_SLURM_THREADS": "1", "UNLEARND_THREADS": "2"]
    }

    /// Runs a program of Slurm.
    /// - Returns: Its status, and what it wrote to standard output and error.
    @discardableResult
    package func run(_ program: String, _ arguments: [String]) throws -> (Int32, String) {
        let file = "\(directory)/out.\(UInt32.random(in: 0 ... .max))"
        defer { unlink(file) }
        let process = try ChildProcess(
            program.hasPrefix("/") ? program : "/usr/bin/\(program)", arguments,
            environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SLURM_CONF": directory + "/slurm.conf"],
            output: file, errors: file)
        let status = try process.wait(seconds: 60)
        return (status, try String(contentsOfFile: file, encoding: .utf8))
    }

    /// Starts or stops a daemon of the cluster, or hides or shows a directory on the node.
    package func control(_ verb: String, _ what: String) throws {
        let (status, words) = try run(directory + "/control", [verb, what])
        guard status == 0 else { throw TestFailure("control \(verb) \(what) ended with \(status): \(words)") }
    }

    /// Whether the node sees an empty directory there.
    package func isEmptyOnNode(_ path: String) throws -> Bool {
        let process = try String(contentsOfFile: directory + "/slurmd.pid", encoding: .utf8)
        return try run(
            "nsenter",
            ["--mount", "--target", process.trimmingCharacters(in: .whitespacesAndNewlines), "ls", path]
        ).1.isEmpty
    }

    /// The numbers of the jobs that wait or run.
    package func jobs() throws -> [String] {
        try run("squeue", ["--noheader", "--states=PENDING,RUNNING,SUSPENDED", "--format=%i"]).1
            .split(separator: "\n").map(String.init)
    }

    /// Takes both processors with a job that sleeps, and waits until it has them.
    /// - Returns: Its number.
    package func occupy(partition: String = "work") throws -> String {
        let name = "occupy-\(UInt32.random(in: 0 ... .max))"
        let (status, words) = try run(
            "salloc",
            [
                "--no-shell", "--ntasks=2", "--mem-per-cpu=100", "--quiet", "--job-name=\(name)",
                "--partition=\(partition)",
            ])
        let id = try run("squeue", ["--noheader", "--name=\(name)", "--format=%i"]).1.split(separator: "\n")
            .first
        guard status == 0, let id else { throw TestFailure("salloc ended with \(status): \(words)") }
        return String(id)
    }

    /// Ends what ``occupy(partition:)`` began.
    package func release(_ job: String) throws { try run("scancel", [job]) }

    /// The workers that Slurm has started, in the order of their numbers.
    package func ranks() -> [pid_t] {
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return entries.compactMap { pid_t($0) }.filter { process in
            guard let words = try? String(contentsOfFile: "/proc/\(process)/cmdline", encoding: .utf8) else {
                return false
            }
            let parts = words.split(separator: "\0")
            guard parts.count == 2, parts[0].hasSuffix("/unlearnd-worker") else { return false }
            let environment =
                (try? Data(contentsOf: URL(fileURLWithPath: "/proc/\(process)/environ"))) ?? Data()
            return environment.range(of: Data("SLURM_PROCID=".utf8)) != nil
        }.sorted()
    }
}
