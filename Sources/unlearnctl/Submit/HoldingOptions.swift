// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// How the rest is held while something is forgotten, and when it is enough.
struct HoldingOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "When the sets differ in batches: min ends with the shorter, cycle repeats the retain set.",
            valueName: "min|cycle"))
    var pairing: Pairing?

    @Option(
        name: .customLong("retain-loss"),
        help: ArgumentHelp(
            "How the retain set holds the model: nll, or kl against the base version (default nll; rmu: activations).",
            valueName: "nll|kl|activations"))
    var retainLoss: RetainLoss?

    @Option(
        name: .customLong("max-forget-loss"),
        help: ArgumentHelp("Stop when the forget loss has risen to this, nats per token.", valueName: "loss"),
        transform: Arguments.finite)
    var maxForgetLoss: Double?

    @Option(
        name: .customLong("sam-rho"),
        help: ArgumentHelp(
            "Take the forget gradient this far uphill of the weights, against relearning; 0.01 is usual. Doubles the cost of the forget batch.",
            valueName: "radius"),
        transform: Arguments.finite)
    var samRho: Double?

    /// Sets what was given.
    func apply(to parameters: inout JobParameters) {
        if let pairing { parameters.pairing = pairing }
        if let retainLoss { parameters.retainLoss = retainLoss }
        if let maxForgetLoss { parameters.maxForgetLoss = maxForgetLoss }
        if let samRho { parameters.samRho = samRho }
    }
}
