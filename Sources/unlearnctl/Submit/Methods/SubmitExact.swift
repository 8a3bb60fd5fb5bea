// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// `submit exact`.
struct SubmitExact: SubmitCommand {
    static let configuration = CommandConfiguration(
        commandName: "exact",
        abstract: "Make the model that never saw the forget rows, by doing its training again without them.",
        discussion: """
            Goes back to the last version that was made before any recorded job used one of the rows, and repeats the \
            jobs since, with their data, order, seeds and parameters, without the rows. The result is bit for bit what these \
            jobs would have made, had the rows never been there.

            A row counts as used if a row that reads the same was in any dataset that a job trained on. Other wordings of \
            it do not: put them into the forget set. Use it for models that were trained here. What was imported may \
            have known the rows before; then, and where datasets or versions are gone, it says so, and an approximate method \
            is left. --dry-run tells how far back it goes and what it costs.
            """)

    @OptionGroup(title: "Job") var common: SubmitOptions
    @OptionGroup(title: "Evaluation") var evaluation: EvaluationOptions
    @OptionGroup(title: "Global") var options: GlobalOptions

    var builder: SpecBuilder {
        SpecBuilder(kind: .exact, common: common) { evaluation.apply(to: &$0) }
    }
}
