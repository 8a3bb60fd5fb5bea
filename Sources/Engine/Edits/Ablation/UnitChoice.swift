// SPDX-License-Identifier: Apache-2.0

import Protocol

/// How many units of a ranking are switched off.
package enum UnitChoice: Sendable, Hashable {
    /// A share of all units that were looked at, rounded down, at least one.
    case fraction(Double)
    case count(Int)
    /// As few as lower the accuracy on the forget set by this much, absolute.
    case targetDrop(Double)
}

/// One prefix of a ranking that was tried.
package struct PrefixTrial: Sendable, Hashable {
    /// How many units were switched off.
    package var units: Int
    /// The accuracy on the forget set then.
    package var accuracy: Double
}

extension UnitRanking {
    /// The number of units that `choice` takes from the front of the ranking.
    ///
    /// For a target drop prefixes of 1, 2, 4, … units are switched off in memory until one drops enough; between it and
    /// the last one that did not, the smallest that does is found by bisection. Accuracy need not fall with every unit,
    /// so what is found is a prefix that drops enough while the one before it does not.
    ///
    /// - Parameter accuracy: Measures the forget set with that many units switched off.
    /// - Returns: The number, and the prefixes that were tried.
    /// - Throws: ``EngineError`` with `.invalidBatch` when no prefix drops enough; what `accuracy` throws.
    package func take(
        _ choice: UnitChoice, accuracy: (_ units: Int) throws -> Double
    ) throws -> (count: Int, trials: [PrefixTrial]) {
        guard !entries.isEmpty else {
            throw EngineError(
                .invalidBatch, "no unit carries the forget set more than it carries the retain set",
                hint: "Lower --retain-weight, or choose --units both.")
        }
        switch choice {
        case .fraction(let share):
            return (min(entries.count, max(1, Int(share * Double(candidates)))), [])
        case .count(let count): return (min(entries.count, max(1, count)), [])
        case .targetDrop(let drop):
            var trials: [PrefixTrial] = []
            func measured(_ units: Int) throws -> Double {
                let value = try accuracy(units)
                trials.append(PrefixTrial(units: units, accuracy: value))
                return value
            }
            // Accuracies are shares: differences of decimal fractions are not exact in binary.
            let goal = try measured(0) - drop + 1e-12
            var low = 0
            var high = 1
            while try measured(high) > goal {
                guard high < entries.count else {
                    let best = trials.map(\.accuracy).min() ?? 0
                    throw EngineError(
                        .invalidBatch,
                        "switching off all \(entries.count) units that carry the forget set lowers its accuracy to \(best), not to \(goal)",
                        hint: "Lower --target-drop or --retain-weight, or choose --units both.")
                }
                low = high
                high = min(2 * high, entries.count)
            }
            while high - low > 1 {
                let middle = (low + high) / 2
                if try measured(middle) > goal { low = middle } else { high = middle }
            }
            return (high, trials)
        }
    }
}
