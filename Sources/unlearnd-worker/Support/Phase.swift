// SPDX-License-Identifier: Apache-2.0

import Protocol

/// One phase of a job, and how far it is.
final class Phase {
    /// The phase that stops by writing a training checkpoint.
    static let training = "edit"
    /// Least time between two reports; the first and the last of a phase always go out.
    private static let pause = Duration.milliseconds(100)

    private let name: String
    private let unit: String
    private let context: JobContext
    private let began = ContinuousClock.now
    private var reported: ContinuousClock.Instant?

    init(_ name: String, unit: String, of context: JobContext) {
        self.name = name
        self.unit = unit
        self.context = context
    }

    /// Tells how far the phase is.
    /// - Throws: ``Cancelled``; ``Paused`` outside of training, which stops between steps only.
    func update(_ done: Int, of total: Int?, figures: [String: Double] = [:]) throws {
        try context.checkCancelled()
        if context.isPausing, name != Self.training { throw Paused() }
        let now = ContinuousClock.now
        if let reported, now - reported < Self.pause, done != total { return }
        reported = now
        let seconds = (now - began) / .seconds(1)
        let rate = done > 0 && seconds > 0 ? Double(done) / seconds : nil
        let eta = rate.flatMap { rate in total.map { Double($0 - done) / rate } }
        try context.send(
            .progress(
                JobProgress(
                    phase: name, done: Double(done), total: total.map(Double.init), unit: unit, rate: rate,
                    eta: eta,
                    figures: figures)))
    }
}
