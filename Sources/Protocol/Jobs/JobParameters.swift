// SPDX-License-Identifier: Apache-2.0

/// The parameters of every kind of job, in one flat object: a kind reads those it knows and refuses others.
///
/// Absent members take the defaults that ``TrainingParameters`` and the methods' pages state.
package struct JobParameters: Codable, Hashable, Sendable {
    // ascent and finetune
    /// Passes over the data; default 3.
    package var epochs: Int?
    /// AdamW's learning rate, the highest of the run; default 1e-5.
    package var learningRate: Double?
    /// How the learning rate goes; default `constant`.
    package var schedule: Schedule?
    /// Steps over which the learning rate rises from 0, or below 1 their share of all steps; default 0.
    package var warmupSteps: Double?
    /// AdamW's decoupled weight decay; default 0.01.
    package var weightDecay: Double?
    /// AdamW's two decay rates; default 0.9 and 0.999.
    package var betas: [Double]?
    /// What AdamW adds to the denominator; default 1e-8.
    package var epsilon: Double?
    /// Batches of each set whose gradients are added up for one step; default 1.
    package var accumulate: Int?
    /// The longest gradient, as its norm over all trained parameters; longer ones are scaled down.
    package var clipNorm: Double?
    /// The blocks that are trained; default all, with everything outside the blocks.
    package var trainLayers: LayerSelection?
    /// Patterns of the names of tensors that are trained, `*`, `?` and `[…]` as in file names; default all.
    package var trainTensors: [String]?
    /// Patterns of the names of tensors that are not trained.
    package var freezeTensors: [String]?
    /// Rank of the low-rank adapters that are trained instead of the weights; absent trains the weights.
    package var loraRank: Int?
    /// The adapters' product is scaled by this over the rank; default the rank.
    package var loraAlpha: Double?
    /// Names of the modules that get adapters, as PEFT's `target_modules`; default `all-linear`.
    package var loraTargets: [String]?
    /// Whether activations are computed again in the backward pass instead of kept; default false.
    package var checkpointActivations: Bool?
    /// Weight of forgetting against retaining, 0 to 1, default 0.5 (`ascent`); weight of the retain term, 0 or more, default
    /// 1 (all other gradient methods).
    package var alpha: Double?
    /// Rows of a set that are in memory together; default 4.
    package var batchSize: Int?
    /// Longest row in tokens; default min(512, the model's context).
    package var maxLength: Int?
    /// Whether each epoch is reordered by the seed; default true.
    package var shuffle: Bool?
    /// What to do when one set has fewer batches (gradient methods).
    package var pairing: Pairing?
    /// How the retain set holds the model (gradient methods); default `nll`, of `rmu`
    /// `activations`.
    package var retainLoss: RetainLoss?
    /// Stop before the step whose forget batch has a mean loss of this or more, nats per token (gradient methods).
    package var maxForgetLoss: Double?
    /// Arithmetic of matrix products in training and evaluation; default `f32`, on a card `bf16`.
    package var precision: Precision?
    /// What trains and measures; default `cpu` (jobs that train, `evaluate`).
    package var device: ComputeDevice?
    /// Whether the job tells where its time went; default false.
    package var profile: Bool?
    /// What evaluation counts as right; default `token`.
    package var accuracy: AccuracyUnit?
    /// What is measured beside accuracy, loss and membership inference by loss; default ``EvaluationMetric/fast``.
    package var metrics: [EvaluationMetric]?
    /// Whether rows that are too long are cut rather than refused; default false.
    package var truncate: Bool?

    /// Steps from one training checkpoint to the next (jobs that train).
    package var checkpointSteps: Int?
    /// Seconds from one training checkpoint to the next; default 300 (jobs that train).
    package var checkpointSeconds: Double?

    /// Processes that train the model together, each a share of every batch's rows; default 1 (jobs that train).
    package var ranks: Int?
    /// Whether the ranks share the parameters of the blocks out instead of each holding all; default false (jobs that train).
    package var shardParameters: Bool?
    /// How the job's processes are started; default `local`, or `mpi` where there are several (jobs that train, edit,
    /// measure or attack).
    package var launcher: Launcher?
    /// The cluster's partition, or several with commas between them (`launcher` `slurm`); default the cluster's.
    package var partition: String?

    // how prompts are laid out, wherever text is read
    /// The format of prompts and answers; default `plain`.
    package var template: PromptTemplateName?
    /// The system prompt of a format that takes one.
    package var systemPrompt: String?
    /// What stands before each prompt (`template` `custom`).
    package var promptPrefix: String?
    /// What stands between each prompt and its answer (`template` `custom`).
    package var promptSuffix: String?

    // gradient methods
    /// Weight of the forget term; the method's own default (all but `ascent`).
    package var gamma: Double?
    /// Sharpness of a preference loss (`npo`, `simnpo`, `dpo`, `idk`, `update`), exponent of p (`wga`, `satimp`),
    /// lowering of the label's logit (`undial`).
    package var beta: Double?
    /// Exponent of 1 − p (`satimp`).
    package var betaUnknown: Double?
    /// The mean loss from which a row counts as forgotten, nats per token (`simnpo`).
    package var margin: Double?
    /// How far uphill the forget gradient is taken; absent: here.
    package var samRho: Double?
    /// How another answer is taught (`idk`); default `nll`.
    package var form: AnswerForm?
    /// Answers that refuse; default a list of our own (`idk`).
    package var refusals: [String]?
    /// Answers drawn for each row that has none of its own; default 5 (`altpo`).
    package var alternates: Int?
    /// Weight of learning the new answer beside losing the old one; default 1 (`update`).
    package var replacementWeight: Double?
    /// How the new answer is put in the old one's place; default `gradient` (`update`).
    package var by: UpdateWay?
    /// The layers that are edited; default some in the middle (`update` by `edit`).
    package var layers: LayerSelection?
    /// Most steps of the search for each fact's target; default 25 (`update` by `edit`).
    package var editSteps: Int?
    /// The search's learning rate; default 0.5 (`update` by `edit`).
    package var editLearningRate: Double?
    /// Weight of what the layers read on the retain set; default 1 (`update` by `edit`).
    package var covarianceWeight: Double?
    /// How far a target may lie from the stream, in lengths of the stream; default 4 (`update` by `edit`).
    package var editClamp: Double?
    /// Labelled tokens of each row that do not count, from its first on; default 1 (`ceu`).
    package var skip: Int?
    /// How fast the retain term's weight follows the retain loss; default 1 (`pdu`).
    package var dualRate: Double?
    /// What the retain loss may be, nats per token (`pdu`).
    package var retainLimit: Double?
    /// Epochs before the retain term's weight moves; default 5 (`pdu`).
    package var dualWarmUpEpochs: Int?
    /// The block whose output is steered, from 0; default 7, or the middle one of fewer than 16 (`rmu`).
    package var layer: Int?
    /// The length of the vector that it is steered to; default 2 (`rmu`).
    package var steering: Double?

    // retrain
    /// The version where training begins, or whose form a fresh start takes; default the model's head (`retrain`).
    package var from: VersionReference?
    /// Whether training begins with weights drawn by the seed; default false (`retrain`).
    package var fresh: Bool?

    // task-vector
    /// The fine-tuned version whose direction is subtracted (`task-vector`).
    package var finetuned: VersionReference?
    /// The version that the fine-tuned one started from; default: the target (`task-vector`).
    package var base: VersionReference?
    /// How much of the direction is subtracted; default 1 (`task-vector`).
    package var scale: Double?

    // import, create, export
    /// The transfer whose descriptors carry the files (`import`, `create`, `export`; an adapter of `task-vector`).
    package var transfer: String?
    /// Whether the adapter that was merged into the version is written instead of the version (`export`).
    package var adapter: Bool?
    /// Whether weight files beside the safetensors are left out instead of refused (`import`).
    package var skipOtherWeights: Bool?

    // what reads a restricted version
    /// Why a version that still knows what others were made to forget is read (`export`, `generate`).
    package var reason: String?

    // generate, tokenize
    /// The text to continue (`generate`).
    package var prompt: String?
    /// Several texts to continue, instead of `prompt` (`generate`).
    package var prompts: [String]?
    /// What the logits are divided by before one token is drawn; 0 takes the most likely one (`generate`). Default 0,
    /// or 1 where a filter or more than one sample is asked for.
    package var temperature: Double?
    /// Only so many of the most likely tokens are drawn from (`generate`).
    package var topK: Int?
    /// Only the most likely tokens that make up this share of the probability are drawn from (`generate`).
    package var topP: Double?
    /// Samples of each prompt; default 1 (`generate`).
    package var count: Int?
    /// Most tokens to make; default 32 (`generate`), 200 (`altpo`, measuring).
    package var maxNewTokens: Int?
    /// The text to encode (`tokenize`).
    package var text: String?
    /// Whether the tokenizer's special tokens are added (`tokenize`); default false.
    package var special: Bool?

    // diff
    /// The version compared with `model` (`diff`).
    package var other: VersionReference?

    // verify
    /// Whether only presence, sizes and headers are checked (`verify`); default false.
    package var quick: Bool?
    /// The share of all objects that is looked at, drawn anew by each job (`verify`); default 1.
    package var sample: Double?
    /// Seconds after which it stops (`verify`); the next such job goes on there. Absent: it looks at everything.
    package var seconds: Double?
    /// Whether the daemon's schedule asked for it (`verify`); the daemon's to write.
    package var scheduled: Bool?

    // publish, backup, restore
    /// The name that the configuration has for where it goes: a publish target (`publish`) or a backup target (`backup`,
    /// `restore`).
    package var target: String?
    /// Whether objects that the target has already are read again too (`backup`); default false.
    package var full: Bool?
    /// Whether it is only told what would be done (`restore`, `optimize`); default false.
    package var dryRun: Bool?

    // task-vector, further
    /// The share of each tensor's direction that is kept, the largest elements; default 1 (`task-vector`).
    package var density: Double?
    /// Factors of the scale for the layers, as ``LayerScales`` reads them (`task-vector`).
    package var layerScale: String?
    /// Scales to try, ascending, of which the smallest that meets the gate is taken (`task-vector`).
    package var scaleGrid: [Double]?

    // ablate
    /// What may be switched off; default `both`.
    package var units: AblationUnits?
    /// How attribution is measured; default `gradient`.
    package var attribution: AttributionMethod?
    /// Points of the path of integrated gradients; default 20.
    package var attributionSteps: Int?
    /// Most rows of each set that attribution looks at, evenly spread over the set; default 512.
    package var attributionRows: Int?
    /// Weight of the retain set's attribution against the forget set's; default 1.
    package var retainWeight: Double?
    /// The share of all units to switch off; default 0.01 where nothing else is given.
    package var fraction: Double?
    /// Switch off as few units as lower the accuracy on the forget set by this much.
    package var targetDrop: Double?
    /// What is done to the units' output weights; default `zero`.
    package var mode: AblationMode?
    /// What `dampen` multiplies them by; default 0.1.
    package var factor: Double?

    // dampen
    /// How many times more a weight must matter to the forget set than to all data; default 10.
    package var dampeningRatio: Double?
    /// What such a weight is multiplied by, in shares of the inverse of that; default 1.
    package var dampeningStrength: Double?
    /// Whether importances come from the logits' norm instead of the labels; default false.
    package var labelFree: Bool?

    // masks of methods that train by gradients
    /// By what the weights that may change are chosen; all may unless given.
    package var mask: MaskKind?
    /// Which share of them may change; default 0.5.
    package var maskRatio: Double?

    // attacks
    /// Most rows of the forget set that an attack measures, evenly spread; default 512, for prompts 32.
    package var attackRows: Int?
    /// What `relearn` trains on; default `forget`.
    package var relearnOn: RelearnData?
    /// How many rows it trains on; default 20, at most a quarter of the forget set (64 of benign text).
    package var relearnRows: Int?
    /// Its steps; default 50.
    package var relearnSteps: Int?
    /// Its learning rate; default 1e-5.
    package var relearnRate: Double?
    /// What `quantize` rounds to; default all.
    package var quantize: [QuantizationFormat]?
    /// How `prompt` asks; default all that the rows allow but `suffix`.
    package var attackPrompts: [PromptVariant]?
    /// How many samples it draws of each way beside the greedy answer; default 4.
    package var samples: Int?
    /// The temperature that they are drawn at; default 1.
    package var attackTemperature: Double?
    /// The ROUGE-L recall from which on a row leaks; default 0.8.
    package var leakThreshold: Double?
    /// Virtual tokens of the soft prompt; default 16.
    package var softTokens: Int?
    /// Its steps; default 100.
    package var softSteps: Int?
    /// Tokens of the suffix; default 16.
    package var suffixTokens: Int?
    /// Steps of its search; default 50.
    package var suffixSteps: Int?
    /// Suffixes that each step tries; default 32.
    package var suffixCandidates: Int?

    /// No parameters: all defaults.
    package init() {}

    /// How the job's processes are started.
    package var startedBy: Launcher { launcher ?? (ranks ?? 1 > 1 ? .mpi : .local) }

    /// The layout of prompts; `nil` is the plain one.
    package var promptTemplate: PromptTemplate? {
        PromptTemplate(
            template ?? (promptPrefix == nil && promptSuffix == nil ? .plain : .custom), system: systemPrompt,
            prefix: promptPrefix, suffix: promptSuffix)
    }
}
