// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// Which weights a training may change.
struct MaskOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Change only the weights that matter most for what is forgotten: saliency goes by the size of their gradient (SalUn), wagle by the weight and both gradients (WAGLE).",
            valueName: "saliency|wagle"))
    var mask: MaskKind?

    @Option(
        name: .customLong("mask-ratio"),
        help: ArgumentHelp("Which share of the weights may change (default 0.5).", valueName: "share"),
        transform: Arguments.finite)
    var maskRatio: Double?

    /// Sets what was given.
    func apply(to parameters: inout JobParameters) {
        if let mask { parameters.mask = mask }
        if let maskRatio { parameters.maskRatio = maskRatio }
    }
}
