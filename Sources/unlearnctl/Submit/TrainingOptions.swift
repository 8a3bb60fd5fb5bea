// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// How a model is trained.
struct TrainingOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Passes over the data (default 3).", valueName: "number"))
    var epochs: Int?

    @Option(
        name: .customLong("learning-rate"),
        help: ArgumentHelp("AdamW's constant learning rate (default 1e-5).", valueName: "rate"),
        transform: Arguments.finite)
    var learningRate: Double?

    @Flag(
        name: .customLong("no-shuffle"),
        help: "Keep the order of the file instead of one drawn from the seed.")
    var noShuffle = false

    @Option(help: ArgumentHelp("Arithmetic of the training (default f32).", valueName: "f32"))
    var precision: Precision?

    /// Sets what was given.
    func apply(to parameters: inout JobParameters) {
        if let epochs { parameters.epochs = epochs }
        if let learningRate { parameters.learningRate = learningRate }
        if noShuffle { parameters.shuffle = false }
        if let precision { parameters.precision = precision }
    }
}
