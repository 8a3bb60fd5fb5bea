// SPDX-License-Identifier: Apache-2.0

/// What `ablate` switched off: the `ablation` member of its result.
package struct AblationReport: Codable, Hashable, Sendable {
    /// Most units that are listed; all of them count.
    package static let most = 4096

    /// One unit, with what it was chosen by.
    package struct Unit: Codable, Hashable, Sendable {
        /// `neuron` or `head`.
        package var kind: String
        /// Counts from 0.
        package var layer: Int
        /// Within the layer, from 0.
        package var index: Int
        package var score: Double
        /// Its attribution on the forget set, probability per labelled token.
        package var forget: Double
        /// The size of its attribution on the retain set.
        package var retain: Double

        package init(
            kind: String, layer: Int, index: Int, score: Double, forget: Double, retain: Double
        ) {
            self.kind = kind
            self.layer = layer
            self.index = index
            self.score = score
            self.forget = forget
            self.retain = retain
        }
    }

    /// How many units of one layer were switched off.
    package struct Layer: Codable, Hashable, Sendable {
        package var layer: Int
        package var neurons: Int
        package var heads: Int

        package init(layer: Int, neurons: Int, heads: Int) {
            self.layer = layer
            self.neurons = neurons
            self.heads = heads
        }
    }

    /// A number of units that was tried.
    package struct Trial: Codable, Hashable, Sendable {
        package var units: Int
        package var forgetAccuracy: Double

        package init(units: Int, forgetAccuracy: Double) {
            self.units = units
            self.forgetAccuracy = forgetAccuracy
        }

        enum CodingKeys: String, CodingKey {
            case units
            case forgetAccuracy = "forget_accuracy"
        }
    }

    package var mode: AblationMode
    /// Units that were looked at.
    package var candidates: Int
    /// Units that were switched off.
    package var count: Int
    /// Parameters that were set.
    package var parameters: Int
    /// Their share of all parameters.
    package var share: Double
    /// Best first.
    package var units: [Unit]
    /// By layer, from 0.
    package var layers: [Layer]
    /// What the search for a target drop tried, in order.
    package var trials: [Trial]

    package init(
        mode: AblationMode, candidates: Int, count: Int, parameters: Int, share: Double, units: [Unit],
        layers: [Layer], trials: [Trial]
    ) {
        self.mode = mode
        self.candidates = candidates
        self.count = count
        self.parameters = parameters
        self.share = share
        self.units = units
        self.layers = layers
        self.trials = trials
    }
}
