// SPDX-License-Identifier: Apache-2.0

import Logging
import Protocol
import Subprocess
import SystemPackage

/// Asks Slurm where this daemon's jobs are: one question for all of them, soon after something began and then ever more
/// seldom. Also ends in Slurm what nobody follows any more, such as what a killed daemon left waiting there.
actor SlurmWatch {
    /// What `squeue` says of a job or a step.
    struct Entry: Hashable, Sendable {
        var id: String
        var name: String
        var state: String
        var reason: String?
        var nodes: String?

        /// The same for the job.
        var placement: JobPlacement {
            JobPlacement(
                launcher: .slurm, id: id, state: state, reason: state == "PENDING" ? reason : nil,
                nodes: nodes)
        }

        /// Whether it waits or runs.
        var isAlive: Bool { ["PENDING", "RUNNING", "SUSPENDED", "CONFIGURING", "STOPPED"].contains(state) }
    }

    private static let shortest = 0.5
    private static let longest = 10.0
    /// Seconds that a program of Slurm may take.
    private static let patience = 20.0
    private static let longestAnswer = 16 << 20

    private nonisolated let prefix: String
    private let settings: SlurmSettings
    private let logger: Logger
    private var followed: [String: (last: Entry?, stream: AsyncStream<JobPlacement>.Continuation)] = [:]
    /// Whether something may be in Slurm that nobody follows.
    private var mustSweep: Bool
    private var wait = SlurmWatch.shortest
    private var loop: Task<Void, Never>?

    /// A watch over the jobs of one store.
    /// - Parameter hasLeft: Whether an earlier daemon may have left jobs there.
    init(store: String, settings: SlurmSettings, hasLeft: Bool, logger: Logger) {
        prefix = "unlearnd-\(store.prefix(16).filter { $0.isLetter || $0.isNumber })-"
        self.settings = settings
        self.logger = logger
        mustSweep = hasLeft
    }

    /// What a start is called in Slurm.
    nonisolated func name(of start: LaunchStart) -> String { "\(prefix)\(start.job)-\(start.epoch)" }

    /// Ends what an earlier daemon has left there, as soon as Slurm answers.
    func sweep() { if mustSweep { begin() } }

    /// Where a start is, each time that it changes; until the reader goes.
    func follow(_ start: LaunchStart) -> AsyncStream<JobPlacement> {
        let name = name(of: start)
        let (stream, continuation) = AsyncStream<JobPlacement>.makeStream()
        followed[name] = (nil, continuation)
        continuation.onTermination = { [weak self] _ in Task { await self?.leave(name) } }
        wait = Self.shortest
        begin()
        return stream
    }

    private func leave(_ name: String) {
        followed[name] = nil
        mustSweep = true
        wait = Self.shortest
    }

    /// The last state of a start that has ended; `nil` where Slurm does not say.
    func last(_ start: LaunchStart) async -> Entry? {
        let name = name(of: start)
        // The controller hears of the end a little later than srun does.
        for _ in 0..<4 {
            guard let entries = await entries() else { return nil }
            let entry = entries.last { $0.name == name }
            guard let entry, entry.isAlive || entry.state == "COMPLETING" else { return entry }
            try? await Task.sleep(for: .milliseconds(300))
        }
        return nil
    }

    /// Ends a start in Slurm.
    func cancel(_ start: LaunchStart) async {
        let name = name(of: start)
        mustSweep = true
        guard let entries = await entries() else { return }
        await cancel(entries.filter { $0.name == name && $0.isAlive })
    }

    private func cancel(_ entries: [Entry]) async {
        guard !entries.isEmpty else { return }
        _ = await run("scancel", ["--quiet"] + entries.map(\.id))
    }

    // MARK: Looking

    private func begin() {
        guard loop == nil else { return }
        loop = Task { await look() }
    }

    private func look() async {
        while !followed.isEmpty || mustSweep {
            try? await Task.sleep(for: .seconds(wait))
            wait = min(wait * 1.5, Self.longest)
            // What is left while Slurm is asked may be in its answer still.
            let isSweeping = mustSweep
            mustSweep = false
            guard let entries = await entries() else {
                mustSweep = mustSweep || isSweeping
                continue
            }
            for entry in entries { tell(entry) }
            guard isSweeping else { continue }
            let left = entries.filter { $0.isAlive && followed[$0.name] == nil }
            if !left.isEmpty {
                logger.notice(
                    "ending in Slurm what no job follows any more: \(left.map(\.id).joined(separator: ", "))")
                await cancel(left)
                mustSweep = true
            }
        }
        loop = nil
    }

    private func tell(_ entry: Entry) {
        guard let known = followed[entry.name], known.last != entry else { return }
        followed[entry.name]?.last = entry
        wait = Self.shortest
        known.stream.yield(entry.placement)
    }

    /// What Slurm has of this daemon's jobs, ended ones too as long as it remembers them; `nil` while it does not answer.
    private func entries() async -> [Entry]? {
        guard let allocation = settings.allocation else {
            return await list(["--me", "--states=all", "--format=%i|%j|%T|%r|%N"])
        }
        // Steps have no state: those that are listed run, and those that wait for others are numbered later.
        return await list(["--steps", "--jobs=\(allocation)", "--format=%i|%j|RUNNING||%N"])
    }

    private func list(_ arguments: [String]) async -> [Entry]? {
        guard let text = await run("squeue", ["--noheader", "--array"] + arguments) else { return nil }
        return text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
            guard fields.count == 5, fields[1].hasPrefix(prefix), fields[0].first?.isNumber == true else {
                return nil
            }
            func word(_ text: String) -> String? {
                ["", "None", "(null)", "n/a", "N/A"].contains(text) ? nil : text
            }
            return Entry(
                id: fields[0], name: fields[1], state: fields[2], reason: word(fields[3]),
                nodes: word(fields[4]))
        }
    }

    /// Runs a program of Slurm; `nil` if it fails or takes too long.
    private func run(_ program: String, _ arguments: [String]) async -> String? {
        var environment: [Environment.Key: String] = ["PATH": "/usr/bin:/bin", "LANG": "C"]
        if let path = SlurmSettings.configurationPath { environment["SLURM_CONF"] = path }
        let command = settings.program(program)
        return await withTaskGroup(of: String?.self) { group in
            group.addTask { [environment] in
                guard
                    let result = try? await Subprocess.run(
                        .path(FilePath(command)), arguments: Arguments(arguments),
                        environment: .custom(environment), workingDirectory: "/",
                        output: .string(limit: Self.longestAnswer), error: .discarded),
                    result.terminationStatus.isSuccess
                else { return nil }
                return result.standardOutput
            }
            group.addTask {
                try? await Task.sleep(for: .seconds(Self.patience))
                return nil
            }
            let first = await group.next()
            group.cancelAll()
            return first ?? nil
        }
    }
}
