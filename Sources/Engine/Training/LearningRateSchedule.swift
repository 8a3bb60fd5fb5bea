// SPDX-License-Identifier: Apache-2.0

import Protocol

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What the learning rate is multiplied by in each step: the formulas of transformers'
/// `get_{constant,linear,cosine}_schedule_with_warmup`.
package struct LearningRateSchedule: Sendable, Hashable {
    package var shape: Schedule
    /// Steps of the warm-up, or below 1 their share of all steps, rounded up.
    package var warmup: Double

    /// A schedule; constant unless told otherwise.
    package init(_ shape: Schedule = .constant, warmup: Double = 0) {
        self.shape = shape
        self.warmup = warmup
    }

    /// The factor of a step, counted from 1, of `total`.
    ///
    /// The first step of a warm-up has the factor 0, as in PyTorch's LambdaLR: it moves no weight.
    package func factor(step: Int, of total: Int) -> Double {
        let done = Double(step - 1)
        let total = Double(total)
        let warmup = warmup >= 1 ? warmup : (total * warmup).rounded(.up)
        if done < warmup { return done / max(1, warmup) }
        switch shape {
        case .constant: return 1
        case .linear: return max(0, (total - done) / max(1, total - warmup))
        case .cosine:
            let progress = (done - warmup) / max(1, total - warmup)
            return max(0, 0.5 * (1 + cos(Double.pi * progress)))
        }
    }
}
