// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `submit rmu`.
struct SubmitRmu: SubmitCommand {
    static let configuration = CommandConfiguration(
        commandName: "rmu",
        abstract: "Unlearn by misdirecting the activations of one block (RMU).",
        discussion: """
            loss = gamma · mean over rows of (1/T) · Σ mean (h − c·u)² + alpha · the same with (h − h_base)² on the retain set. \
            h is what leaves block --layer where it predicts a label; u is a random vector of length 1, fixed by the seed.

            Use it for knowledge that many wordings reach, such as hazardous subjects, with much text of it and of what \
            is near to it. It scrambles rather than replaces: expect nonsense on the forget set. Restrict it with \
            --train-layers and --train-tensors, as the authors do.
            """)

    @OptionGroup(title: "Job") var common: SubmitOptions

    @Option(
        help: ArgumentHelp(
            "The block, from 0 (default 7, or the middle one of fewer than 16).", valueName: "number"))
    var layer: Int?

    @Option(
        help: ArgumentHelp("c, the length of the vector steered to (default 2).", valueName: "length"),
        transform: Arguments.finite)
    var steering: Double?

    @OptionGroup(title: "Method") var method: GradientOptions
    @OptionGroup(title: "Global") var options: GlobalOptions

    var builder: SpecBuilder {
        method.builder(.rmu, common) { parameters in
            if let layer { parameters.layer = layer }
            if let steering { parameters.steering = steering }
        }
    }
}
