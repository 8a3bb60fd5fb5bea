// SPDX-License-Identifier: Apache-2.0

import Protocol

/// One forget and one retain batch for each step of an epoch.
///
/// Steps per epoch are the smaller number of batches, or with ``Pairing/cycle`` the number of forget batches: the
/// retain set then starts again, in a new order, as often as needed.
package struct PairedBatches: Sendable {
    package let forget: Batcher
    package let retain: Batcher
    /// Steps of each epoch.
    package let stepsPerEpoch: Int

    /// - Parameter pairing: What to do when the retain set has fewer batches; `nil` refuses.
    /// - Throws: When forget rows would remain unseen and `pairing` is `nil`.
    package init(forget: Batcher, retain: Batcher, pairing: Pairing?) throws(DatasetError) {
        let unseen = forget.examples.count - retain.batchCount * forget.batchSize
        if unseen > 0, pairing == nil {
            throw DatasetError(
                name: "forget set", line: nil,
                problem:
                    "the retain set gives \(retain.batchCount) batches and the forget set \(forget.batchCount), so "
                    + "that \(unseen) of \(forget.examples.count) forget examples would not be seen in an epoch",
                hint:
                    "Give more retain rows, repeat them with --pairing cycle, or accept it with --pairing min"
            )
        }
        self.forget = forget
        self.retain = retain
        stepsPerEpoch = pairing == .cycle ? forget.batchCount : min(forget.batchCount, retain.batchCount)
    }

    /// The positions of the forget and retain examples of each step of `epoch`, counted from 0.
    package func steps(epoch: Int) -> [(forget: [Int], retain: [Int])] {
        let passes = (stepsPerEpoch + retain.batchCount - 1) / retain.batchCount
        let retained = (0..<passes).flatMap { retain.batchRows(epoch: epoch * passes + $0) }
        return zip(forget.batchRows(epoch: epoch).prefix(stepsPerEpoch), retained).map { ($0, $1) }
    }
}
