// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `submit pdu`.
struct SubmitPdu: SubmitCommand {
    static let configuration = CommandConfiguration(
        commandName: "pdu",
        abstract: "Unlearn by flattening logits under a limit on the retain loss (PDU).",
        discussion: """
            loss = gamma · mean over labelled tokens of (max z − mean z)² + alpha · L_retain. After the warm-up \
            epochs each step sets alpha ← max(0, alpha + dual-rate · (retain loss − retain-limit)): the weight grows \
            while the limit is broken and falls while it is kept.

            Use it when you can say what the retain loss may be and do not want to search for alpha. Logits without \
            differences say nothing: that is further than a model that never saw the rows, so watch both sides of \
            the gate.
            """)

    @OptionGroup(title: "Job") var common: SubmitOptions

    @Option(
        name: .customLong("retain-limit"),
        help: ArgumentHelp(
            "What the retain loss may be, nats per token; somewhat above where it begins.", valueName: "loss"),
        transform: Arguments.finite)
    var retainLimit: Double?

    @Option(
        name: .customLong("dual-rate"),
        help: ArgumentHelp(
            "How fast alpha follows the retain loss (default 1).", valueName: "number"),
        transform: Arguments.finite)
    var dualRate: Double?

    @Option(
        name: .customLong("dual-warm-up-epochs"),
        help: ArgumentHelp(
            "Epochs before alpha moves (default 5).", valueName: "number"))
    var dualWarmUpEpochs: Int?

    @OptionGroup(title: "Method") var method: GradientOptions
    @OptionGroup(title: "Global") var options: GlobalOptions

    var builder: SpecBuilder {
        method.builder(.pdu, common) { parameters in
            if let retainLimit { parameters.retainLimit = retainLimit }
            if let dualRate { parameters.dualRate = dualRate }
            if let dualWarmUpEpochs { parameters.dualWarmUpEpochs = dualWarmUpEpochs }
        }
    }
}
