// SPDX-License-Identifier: Apache-2.0

/// The mean losses of one epoch's steps.
package struct TrainingEpoch: Codable, Hashable, Sendable {
    /// Counts from 1.
    package var epoch: Int
    /// Mean over the steps of the combined loss that was minimised.
    package var loss: Double?
    /// Mean over the steps of the forget batches' negative log-likelihood per labelled token, nats.
    package var forgetLoss: Double?
    /// The same for the retain batches (for `retain_loss` `kl`: the divergence).
    package var retainLoss: Double?
    /// Steps taken in the epoch; fewer than planned when the loss cap stopped the run.
    package var steps: Int
    /// Seconds that the epoch took.
    package var seconds: Double

    /// An epoch's figures.
    package init(
        epoch: Int, loss: Double?, forgetLoss: Double? = nil, retainLoss: Double? = nil, steps: Int,
        seconds: Double
    ) {
        self.epoch = epoch
        self.loss = loss
        self.forgetLoss = forgetLoss
        self.retainLoss = retainLoss
        self.steps = steps
        self.seconds = seconds
    }

    enum CodingKeys: String, CodingKey {
        case epoch, loss, steps, seconds
        case forgetLoss = "forget_loss"
        case retainLoss = "retain_loss"
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(epoch, forKey: .epoch)
        try container.encode(loss.finite, forKey: .loss)
        try container.encode(forgetLoss.finite, forKey: .forgetLoss)
        try container.encode(retainLoss.finite, forKey: .retainLoss)
        try container.encode(steps, forKey: .steps)
        try container.encode(seconds, forKey: .seconds)
    }
}
