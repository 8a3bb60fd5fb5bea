// SPDX-License-Identifier: Apache-2.0

/// Orders the jobs of a family: those that met the gate first, then by utility, then by how close forgetting came to
/// its aim.
package struct SweepRanking: Sendable {
    /// One job and what it is judged by.
    package struct Entry: Sendable {
        package var job: Job
        /// Whether the gate was met; `nil` without a gate or a result.
        package var passed: Bool?
        /// What is left of model utility or retain accuracy: after / before.
        package var utility: Double?
        /// Forget accuracy.
        package var forget: Double?
        /// Retain accuracy.
        package var retain: Double?
        /// |forget accuracy − aim|; the aim is the reference's, else what the result reaches on the holdout set, else 0.
        package var distance: Double?
    }

    /// Best first; jobs without a result last.
    package let entries: [Entry]

    /// Orders jobs. Utilities that round to the same hundredth count as equal, so that closeness has a say.
    package init(_ jobs: [Job]) {
        entries = jobs.map(Self.entry).sorted { Self.precedes($0, $1) }
    }

    /// The best that may become head: its gate is met, or there was none, and it has a version.
    package var best: Entry? { entries.first { $0.job.version != nil && $0.passed != false } }

    private static func entry(_ job: Job) -> Entry {
        var entry = Entry(job: job, passed: job.gate?.passed)
        guard let after = job.evaluation?.after else { return entry }
        entry.utility = GateFigure.utility.value(in: after, before: job.evaluation?.before)
        entry.forget = after.forgetAccuracy
        entry.retain = after.retainAccuracy
        let aim = job.evaluation?.reference?.forgetAccuracy ?? after.holdoutAccuracy ?? 0
        entry.distance = after.forgetAccuracy.map { abs($0 - aim) }
        return entry
    }

    private static func precedes(_ left: Entry, _ right: Entry) -> Bool {
        func key(_ entry: Entry) -> [Double] {
            [
                entry.job.version == nil ? 1 : 0, entry.passed == false ? 1 : 0,
                -((entry.utility ?? -1) * 100).rounded(), entry.distance ?? .infinity, Double(entry.job.id),
            ]
        }
        return key(left).lexicographicallyPrecedes(key(right))
    }
}
