// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol

/// Jobs that many people submit to a large cluster, drawn by a seed.
struct SimulatedWorkload {
    /// A job that somebody submits. Times are milliseconds.
    struct Item {
        var time: Int64
        var user: Int
        var model: Int
        var kind: JobKind
        var job: SimulatedCluster.Job
    }

    static let users = 20
    static let models = 400
    /// Nodes that a job takes, and how often.
    private static let widths = [(1, 0.60), (2, 0.15), (4, 0.15), (8, 0.07), (16, 0.03)]
    /// The median of a job's length and the spread of its logarithm.
    private static let length = (median: 600.0, spread: 1.2)
    /// Jobs that the busiest user submits at one time, every so many.
    private static let burst = (size: 200, every: 2000)

    /// By their times.
    let items: [Item]

    /// - Parameters:
    ///   - load: The work that comes in an hour, in parts of what the nodes can do in one.
    init(jobs: Int, nodes: Int, load: Double, seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let (users, models) = (Self.weights(Self.users, 1), Self.weights(Self.models, 0.5))
        var items: [Item] = (0..<jobs).map { number in
            let isBurst = number % Self.burst.every < Self.burst.size
            let width = min(isBurst ? 1 : Self.widths[random.index(Self.widths.map(\.1))].0, nodes)
            let seconds = min(
                max(Self.length.median * exp(Self.length.spread * random.normal()), 30), 8 * 3600)
            let length = Int64(seconds * 1000)
            let reads = width == 1 && random.unit() < 0.5
            return Item(
                time: 0, user: isBurst ? 0 : random.index(users), model: random.index(models),
                kind: reads ? .evaluate : width == 1 ? .ascent : .finetune,
                job: .init(id: 0, width: width, length: length, limit: 2 * length))
        }
        let work = items.reduce(0.0) { $0 + Double($1.job.width) * Double($1.job.length) }
        let span = work / (Double(nodes) * load)
        for index in items.indices {
            let isFirst = index % Self.burst.every == 0 || index % Self.burst.every >= Self.burst.size
            items[index].time = isFirst ? Int64(random.unit() * span) : items[index - 1].time
        }
        self.items = items.sorted { $0.time < $1.time }
    }

    /// Zipf's law: the n-th of them is chosen 1/nˢ times as often as the first.
    private static func weights(_ count: Int, _ exponent: Double) -> [Double] {
        let all = (1...count).map { 1 / pow(Double($0), exponent) }
        let sum = all.reduce(0, +)
        return all.map { $0 / sum }
    }
}

/// Vigna's SplitMix64: the same numbers everywhere.
private struct SplitMix64 {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    private mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// From 0 to 1.
    mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// Of the standard normal distribution, by Box and Muller.
    mutating func normal() -> Double {
        (-2 * log(1 - unit())).squareRoot() * cos(2 * Double.pi * unit())
    }

    /// An index, by weights that add up to 1.
    mutating func index(_ weights: [Double]) -> Int {
        var left = unit()
        for (index, weight) in weights.enumerated() {
            left -= weight
            if left < 0 { return index }
        }
        return weights.count - 1
    }
}
