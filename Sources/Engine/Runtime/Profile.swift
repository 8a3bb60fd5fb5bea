// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Where the time of a run goes, by kind of work. Costs nothing but a look at a flag until it is switched on.
package final class Profile: Sendable {
    /// A kind of work. Kinds do not nest: matrix products inside attention are attention.
    package enum Part: String, Sendable, CaseIterable {
        /// Projections, the head among them, forward and backward.
        case matrixProducts = "gemm"
        case attention
        case normalization
        /// From logits to losses and the logits' gradients.
        case loss
        case optimizer
        /// Making batches.
        case input
        /// Waiting for other ranks, and bytes from and to them.
        case exchange
    }

    /// What was measured.
    package struct Figures: Sendable, Hashable {
        /// From the switching on to the taking of the figures, seconds.
        package var total = 0.0
        /// Seconds of each kind of work; the rest of the total is activations, embeddings, residuals and whatever else.
        package var seconds: [Part: Double] = [:]
        /// Floating-point operations of the matrix products, 2mnk each.
        package var operations = 0

        /// The share of the total that no kind of work accounts for.
        package var other: Double { total - seconds.values.reduce(0, +) }

        /// 10⁹ operations a second while matrix products ran; `nil` without any.
        package var matrixRate: Double? {
            seconds[.matrixProducts].flatMap { $0 > 0 ? Double(operations) / $0 / 1e9 : nil }
        }
    }

    private let flag = Atomic<Bool>(false)
    private let state = Mutex<(figures: Figures, began: ContinuousClock.Instant)>((Figures(), .now))

    /// Whether times are taken.
    package var isOn: Bool { flag.load(ordering: .relaxed) }

    init() {}

    /// Begins anew.
    package func start() {
        state.withLock { $0 = (Figures(), .now) }
        flag.store(true, ordering: .relaxed)
    }

    /// Ends; gives what was measured since the start.
    package func stop() -> Figures {
        flag.store(false, ordering: .relaxed)
        return state.withLock {
            $0.figures.total = (ContinuousClock.now - $0.began) / .seconds(1)
            return $0.figures
        }
    }

    /// Runs `body` and counts its time as `part`.
    package func timed<Result, Failure: Error>(
        _ part: Part, operations: Int = 0, _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        guard isOn else { return try body() }
        let began = ContinuousClock.now
        defer {
            let seconds = (ContinuousClock.now - began) / .seconds(1)
            state.withLock {
                $0.figures.seconds[part, default: 0] += seconds
                $0.figures.operations += operations
            }
        }
        return try body()
    }
}
