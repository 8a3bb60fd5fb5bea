// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Protocol

/// How a model is trained.
struct TrainingOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Passes over the data (default 3).", valueName: "number"))
    var epochs: Int?

    @Option(
        name: .customLong("learning-rate"),
        help: ArgumentHelp(
            "AdamW's learning rate, the highest of the run (default 1e-5).", valueName: "rate"),
        transform: Arguments.finite)
    var learningRate: Double?

    @Option(
        help: ArgumentHelp(
            "How the learning rate goes after the warm-up (default constant).",
            valueName: "constant|linear|cosine"))
    var schedule: Schedule?

    @Option(
        name: .customLong("warmup-steps"),
        help: ArgumentHelp(
            "Steps over which the learning rate rises from 0; below 1, their share of all steps (default 0).",
            valueName: "steps"), transform: Arguments.finite)
    var warmupSteps: Double?

    @Option(
        name: .customLong("weight-decay"),
        help: ArgumentHelp("AdamW's decoupled weight decay (default 0.01).", valueName: "rate"),
        transform: Arguments.finite)
    var weightDecay: Double?

    @Option(
        help: ArgumentHelp("AdamW's decay rates (default 0.9,0.999).", valueName: "b1,b2"),
        transform: Arguments.pair)
    var betas: [Double]?

    @Option(
        help: ArgumentHelp("What AdamW adds to the denominator (default 1e-8).", valueName: "number"),
        transform: Arguments.finite)
    var epsilon: Double?

    @Option(
        help: ArgumentHelp(
            "Batches of each set whose gradients are added up for one step (default 1).", valueName: "batches"
        ))
    var accumulate: Int?

    @Option(
        name: .customLong("clip-norm"),
        help: ArgumentHelp("Scale gradients down to this norm where they are longer.", valueName: "norm"),
        transform: Arguments.finite)
    var clipNorm: Double?

    @Option(
        name: .customLong("train-layers"),
        help: ArgumentHelp(
            "Train only these blocks, counted from 0: 4-7, or 0,2,8-11.", valueName: "layers"),
        transform: Arguments.layers)
    var trainLayers: LayerSelection?

    @Option(
        name: .customLong("train-tensors"),
        help: ArgumentHelp(
            "Train only tensors with such names, as '*.mlp.down_proj.weight'. May be repeated.",
            valueName: "pattern"))
    var trainTensors: [String] = []

    @Option(
        name: .customLong("freeze-tensors"),
        help: ArgumentHelp(
            "Leave tensors with such names as they are. May be repeated.", valueName: "pattern")
    )
    var freezeTensors: [String] = []

    @Flag(
        name: .customLong("no-shuffle"),
        help: "Keep the order of the file instead of one drawn from the seed.")
    var noShuffle = false

    @Option(
        name: .customLong("lora-rank"),
        help: ArgumentHelp(
            "Train low-rank adapters of this rank instead of the weights, and merge them into the result.",
            valueName: "rank"))
    var loraRank: Int?

    @Option(
        name: .customLong("lora-alpha"),
        help: ArgumentHelp(
            "Adapters are scaled by this over the rank (default: the rank).", valueName: "number"),
        transform: Arguments.finite)
    var loraAlpha: Double?

    @Option(
        name: .customLong("lora-targets"),
        help: ArgumentHelp(
            "Modules that get adapters, as q_proj,v_proj (default all-linear).", valueName: "names"),
        transform: Arguments.names)
    var loraTargets: [String]?

    @Flag(
        name: .customLong("checkpoint-activations"),
        help: "Compute activations again instead of keeping them: less memory, about a third more work.")
    var checkpointActivations = false

    @Flag(
        name: .customLong("shard-parameters"),
        help:
            "Let the ranks (--ranks) share the parameters out, for models that do not fit one of them: each keeps a slice of every block and gets the others' while it computes the block."
    )
    var shardParameters = false

    @Option(
        name: .customLong("checkpoint-every"),
        help: ArgumentHelp(
            "Write what a paused or killed job goes on from each so many steps, or each so long (default 5m).",
            valueName: "steps|duration"))
    var checkpointEvery: CheckpointPeriod?

    @Option(
        help: ArgumentHelp(
            "What trains and measures: the processor, or a card of NVIDIA's in bf16 (default cpu).",
            valueName: "cpu|cuda"))
    var device: ComputeDevice?

    /// Sets what was given.
    func apply(to parameters: inout JobParameters) {
        if let epochs { parameters.epochs = epochs }
        if let learningRate { parameters.learningRate = learningRate }
        if noShuffle { parameters.shuffle = false }
        if let schedule { parameters.schedule = schedule }
        if let warmupSteps { parameters.warmupSteps = warmupSteps }
        if let weightDecay { parameters.weightDecay = weightDecay }
        if let betas { parameters.betas = betas }
        if let epsilon { parameters.epsilon = epsilon }
        if let accumulate { parameters.accumulate = accumulate }
        if let clipNorm { parameters.clipNorm = clipNorm }
        if let trainLayers { parameters.trainLayers = trainLayers }
        if !trainTensors.isEmpty { parameters.trainTensors = trainTensors }
        if let loraRank { parameters.loraRank = loraRank }
        if let loraAlpha { parameters.loraAlpha = loraAlpha }
        if let loraTargets { parameters.loraTargets = loraTargets }
        if let device { parameters.device = device }
        if checkpointActivations { parameters.checkpointActivations = true }
        if shardParameters { parameters.shardParameters = true }
        if !freezeTensors.isEmpty { parameters.freezeTensors = freezeTensors }
        switch checkpointEvery {
        case .steps(let steps): (parameters.checkpointSteps, parameters.checkpointSeconds) = (steps, nil)
        case .seconds(let seconds):
            (parameters.checkpointSteps, parameters.checkpointSeconds) = (nil, seconds)
        case nil: break
        }
    }
}

/// `50` steps, or `90s`, `5m`, `2h`.
enum CheckpointPeriod: Hashable, Sendable, ExpressibleByArgument {
    case steps(Int)
    case seconds(Double)

    init?(argument: String) {
        if let steps = Int(argument) {
            guard steps > 0 else { return nil }
            self = .steps(steps)
        } else {
            guard let duration = Seconds(argument: argument), duration.value > 0 else { return nil }
            self = .seconds(duration.value)
        }
    }
}
