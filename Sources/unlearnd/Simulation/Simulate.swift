// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Protocol

/// `unlearnd simulate`: what the queue would do with many jobs before a cluster.
struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Try the queue's planner on a simulated cluster and clock.",
        discussion: """
            Draws jobs of 20 users on 400 models, some of one node and some of up to 16, with bursts of the busiest user, \
            and lets the planner and the database that serve real jobs decide what starts when. The cluster hands out \
            nodes in the order of arrival with backfilling, as Slurm does. No real state is read or written.

            For each number of places (slurm_parallel) it prints the share of the nodes' time that was used, the hours \
            from the first submission to the last end, waits in minutes (wide: jobs of 8 and 16 nodes; in the queue: of \
            these, until the job is given to the cluster), fairness among users (Jain's index of their mean slowdowns: 1 \
            is all alike, 1/20 is one alone) without and with the burst, and the real time of the planner's passes.
            """)

    @Option(help: ArgumentHelp("Jobs to submit.", valueName: "number")) var jobs = 10_000
    @Option(help: ArgumentHelp("Nodes of the cluster.", valueName: "number")) var nodes = 100
    @Option(help: ArgumentHelp("Work that comes, in parts of what the nodes can do.", valueName: "share"))
    var load = 0.9
    @Option(help: ArgumentHelp("Seed of the jobs.", valueName: "number")) var seed: UInt64 = 1
    @Option(
        help: ArgumentHelp("Values of slurm_parallel, with commas between them.", valueName: "numbers"))
    var places = "50,100,200,400"

    func validate() throws {
        guard (1...1_000_000).contains(jobs), (1...100_000).contains(nodes), (0.01...10).contains(load) else {
            throw ValidationError("there are 1 to 1000000 jobs, 1 to 100000 nodes, and a load of 0.01 to 10")
        }
        guard !parsedPlaces.isEmpty, parsedPlaces.allSatisfy({ $0 > 0 }) else {
            throw ValidationError("--places is a list of numbers above 0: 50,100")
        }
    }

    private var parsedPlaces: [Int] {
        places.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
    }

    func run() throws {
        let workload = SimulatedWorkload(jobs: jobs, nodes: nodes, load: load, seed: seed)
        print("\(jobs) jobs, \(nodes) nodes, load \(load), seed \(seed)")
        print(
            "places   used  hours | wait: mean median    95 %  longest    wide in queue | fairness      | pass: mean longest   waiting"
        )
        for places in parsedPlaces {
            let directory = FileManager.default.temporaryDirectory.appendingPathComponent(
                "unlearnd-simulation-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: directory) }
            let simulation = try QueueSimulation(directory: directory.path, nodes: nodes, places: places)
            try simulation.run(workload)
            print(Self.line(places, simulation))
        }
    }

    private static func line(_ places: Int, _ simulation: QueueSimulation) -> String {
        let lives = Array(simulation.lives.values)
        let waits = lives.map { Double($0.wait) / 60_000 }.sorted()
        func mean(_ values: [Double]) -> Double {
            values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count)
        }
        let wide = mean(lives.filter { $0.item.job.width >= 8 }.map { Double($0.wait) / 60_000 })
        let inQueue = mean(lives.map { Double($0.waitInQueue) / 60_000 })
        let users = Dictionary(grouping: lives, by: \.item.user).mapValues { mean($0.map(\.slowdown)) }
        func jain(_ values: [Double]) -> Double {
            let sum = values.reduce(0, +)
            return sum * sum / (Double(values.count) * values.map { $0 * $0 }.reduce(0, +))
        }
        let (all, others) = (jain(Array(users.values)), jain(users.filter { $0.key != 0 }.map(\.value)))
        return String(
            format:
                "%6d %5.1f%% %6.1f | %10.1f %6.1f %7.1f %8.1f %7.1f %8.1f | %6.3f %6.3f | %7.2f ms %5.0f ms %7d",
            places, simulation.utilisation * 100, simulation.hours, mean(waits), waits[waits.count / 2],
            waits[waits.count * 95 / 100], waits[waits.count - 1], wide, inQueue, others, all,
            mean(simulation.passes) * 1000, (simulation.passes.max() ?? 0) * 1000, simulation.longestQueue)
    }
}
