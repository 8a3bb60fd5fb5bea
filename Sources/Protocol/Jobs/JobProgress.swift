// SPDX-License-Identifier: Apache-2.0

/// How far a running job is. Not durable: the latest one replaces the one before.
package struct JobProgress: Codable, Hashable, Sendable {
    /// What is being done: `snapshot`, `read`, `train`, `write`, `evaluate-before`, …
    package var phase: String
    /// Units done.
    package var done: Double
    /// Units in all; `nil` when unknown.
    package var total: Double?
    /// What is counted: `bytes`, `steps`, `rows`, `tokens`.
    package var unit: String
    /// Units per second.
    package var rate: Double?
    /// Seconds until the phase is done.
    package var eta: Double?
    /// Named figures beside the bar, such as `forget_loss`.
    package var figures: [String: Double]

    /// A progress report.
    package init(
        phase: String, done: Double, total: Double?, unit: String, rate: Double? = nil, eta: Double? = nil,
        figures: [String: Double] = [:]
    ) {
        self.phase = phase
        self.done = done
        self.total = total
        self.unit = unit
        self.rate = rate.finite
        self.eta = eta.finite
        self.figures = figures.filter { $0.value.isFinite }
    }
}
