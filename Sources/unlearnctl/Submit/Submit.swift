// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// `submit METHOD`.
struct Submit: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "submit", abstract: "Queue a job: unlearn, train or measure.",
        discussion: """
            Methods that unlearn: ascent (training, uses the data to forget) and task-vector (arithmetic on weights, \
            uses a fine-tuned version). finetune trains on; evaluate only measures. “unlearnctl submit METHOD --help” \
            explains each, with its formula.
            """,
        subcommands: [SubmitAscent.self, SubmitTaskVector.self, SubmitFinetune.self, SubmitEvaluate.self])
}
