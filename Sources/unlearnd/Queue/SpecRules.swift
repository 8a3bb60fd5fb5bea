// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol

/// The rules of a specification that need nothing but the specification.
enum SpecRules {
    /// - Throws: `invalid_params` with the member that is wrong.
    static func check(_ spec: JobSpec) throws(RPCError) {
        guard spec.sweep == nil else {
            throw fault(
                "sweep", "a job's place in a sweep is the daemon's to write",
                "leave the member out, or submit a sweep with job.sweep")
        }
        if let need = spec.need, !spec.kind.unlearns {
            throw fault(
                "need", "\(spec.kind.rawValue) forgets nothing, so it has no need \(need.rawValue)",
                "leave it out")
        }
        try checkCommon(spec)
        try checkData(spec)
        try checkNames(spec)
        try checkRanges(spec.kind, spec.parameters ?? JobParameters())
        try checkEdits(spec)
        try checkAttacks(spec)
        try checkGate(spec)
    }

    static func fault(_ field: String, _ message: String, _ hint: String? = nil) -> RPCError {
        RPCError(.invalidParams, message, hint: hint, field: "spec." + field)
    }

    private static func checkCommon(_ spec: JobSpec) throws(RPCError) {
        if spec.kind == .verify {
            if let model = spec.model {
                throw fault(
                    "model", "verify looks at the whole store, not at \(model)", "leave the model out")
            }
        } else {
            guard let model = spec.model else {
                throw fault("model", "\(spec.kind.rawValue) needs a model", "name one with --model NAME")
            }
            if [.import, .create, .retrain].contains(spec.kind), model.version != nil {
                throw fault(
                    "model",
                    "\(spec.kind.rawValue) makes a new version of \(model.model), so no version can be named",
                    "write \(model.model) alone")
            }
        }
        if let priority = spec.priority, !(-100...100).contains(priority) {
            throw fault("priority", "priority is \(priority); it lies between -100 and 100")
        }
        if let key = spec.key, key.isEmpty || key.utf8.count > 255 {
            throw fault("key", "a key has 1 to 255 bytes")
        }
        if let note = spec.note, note.utf8.count > 4096 {
            throw fault("note", "a note has at most 4096 bytes")
        }
        if let labels = spec.labels {
            guard labels.count <= 64,
                labels.allSatisfy({ (1...63).contains($0.key.utf8.count) && $0.value.utf8.count <= 255 })
            else {
                throw fault(
                    "labels",
                    "there are at most 64 labels, with names of 1 to 63 and values of up to 255 bytes")
            }
        }
        let after = spec.after ?? []
        guard after.count <= 64 else { throw fault("after", "a job waits for at most 64 others") }
        guard Set(after.map(\.job)).count == after.count else { throw fault("after", "a job is named twice") }
    }

    /// The datasets and options that a kind of job reads.
    private static func checkData(_ spec: JobSpec) throws(RPCError) {
        let kind = spec.kind
        let reads: Set<String> =
            kind.editsVersion
            ? ["forget", "retain", "holdout", "utility", "reference", "gate", "evaluate"]
            : kind == .evaluate
                ? ["forget", "retain", "holdout", "utility", "reference"]
                : kind == .attack ? ["forget", "retain", "reference"] : []
        let given: [(String, Bool)] = [
            ("forget", spec.forget != nil), ("retain", spec.retain != nil), ("holdout", spec.holdout != nil),
            ("utility", spec.utility != nil), ("reference", spec.reference != nil),
            ("gate", spec.gate != nil),
            ("evaluate", spec.evaluate != nil),
        ]
        for (name, isGiven) in given where isGiven && !reads.contains(name) {
            let hint =
                reads.isEmpty
                ? "leave it out" : "\(kind.rawValue) takes \(reads.sorted().joined(separator: ", "))"
            throw fault(name, "\(kind.rawValue) has no \(name)", hint)
        }
        switch kind {
        case _ where kind.trainsOnForgetSet:
            guard spec.forget != nil else {
                throw fault("forget", "\(kind.rawValue) needs a forget set", "give --forget FILE")
            }
            guard spec.retain != nil || !spec.needsRetain else {
                let without =
                    kind == .ascent
                    ? ", or --alpha 1 to do without" : kind == .pdu ? "" : ", or --alpha 0 to do without"
                throw fault(
                    "retain", "\(kind.rawValue) needs a retain set", "give --retain FILE\(without)")
            }
        case .retrain:
            guard spec.retain != nil else {
                throw fault(
                    "retain", "retrain needs rows to learn", "give what is to be kept with --retain FILE")
            }
        case .exact:
            guard spec.forget != nil else {
                throw fault("forget", "exact needs a forget set", "give --forget FILE")
            }
        case .dampen:
            guard spec.forget != nil, spec.retain != nil else {
                throw fault(
                    spec.forget == nil ? "forget" : "retain", "dampen compares a forget and a retain set",
                    "give --forget FILE and --retain FILE")
            }
        case .ablate:
            guard spec.forget != nil else {
                throw fault("forget", "ablate needs a forget set", "give --forget FILE")
            }
        case .finetune:
            guard spec.retain != nil || spec.forget != nil else {
                throw fault("retain", "finetune needs rows to learn", "give --data FILE")
            }
        case .evaluate:
            guard spec.measuresSomething else {
                throw fault(
                    "forget", "evaluate needs something to measure",
                    "give --forget, --retain, --holdout or --utility FILE")
            }
        default: break
        }
        try checkUtility(spec)
        if spec.reference != nil, !spec.measuresSomething {
            throw fault(
                "reference", "a reference is measured on the same data, and none is given",
                "give --forget FILE")
        }
    }

    private static func checkUtility(_ spec: JobSpec) throws(RPCError) {
        let sets = spec.utility ?? []
        guard sets.count <= 16 else { throw fault("utility", "there are at most 16 utility sets") }
        for (index, set) in sets.enumerated() {
            guard UtilitySet.isName(set.name) else {
                throw fault(
                    "utility[\(index)].name", "“\(set.name.prefix(80))” cannot name a utility set",
                    "use 1 to 64 of a-z, 0-9, _ and -, other than forget, retain and holdout")
            }
            guard !sets[..<index].contains(where: { $0.name == set.name }) else {
                throw fault("utility[\(index)].name", "two utility sets are named \(set.name)")
            }
            if let limit = set.maxNewTokens, !(1...(1 << 20)).contains(limit) {
                throw fault(
                    "utility[\(index)].max_new_tokens",
                    "max_new_tokens is \(limit); it lies between 1 and \(1 << 20)")
            }
            let stops = set.stops ?? []
            guard stops.count <= 16, stops.allSatisfy({ (1...256).contains($0.utf8.count) }) else {
                throw fault(
                    "utility[\(index)].stops", "there are at most 16 stops of 1 to 256 bytes each")
            }
        }
    }

    /// Refuses parameters that the kind does not read.
    private static func checkNames(_ spec: JobSpec) throws(RPCError) {
        guard let parameters = spec.parameters, let given = try? JSONValue(encoding: parameters).objectValue
        else { return }
        let names = JobParameters.names(for: spec.kind)
        for member in given.members where !member.value.isNull && !names.contains(member.key) {
            let known =
                names.isEmpty
                ? "it takes no parameters" : "it takes \(names.sorted().joined(separator: ", "))"
            throw fault(
                "parameters.\(member.key)", "\(spec.kind.rawValue) has no parameter \(member.key)", known)
        }
    }

    private static func checkRanges(_ kind: JobKind, _ parameters: JobParameters) throws(RPCError) {
        func range(_ name: String, _ value: Int?, _ range: ClosedRange<Int>) throws(RPCError) {
            guard let value, !range.contains(value) else { return }
            throw fault(
                "parameters.\(name)",
                "\(name) is \(value); it lies between \(range.lowerBound) and \(range.upperBound)")
        }
        func check(_ name: String, _ value: Double?, _ rule: String, _ holds: (Double) -> Bool)
            throws(RPCError)
        {
            guard let value, !(value.isFinite && holds(value)) else { return }
            throw fault("parameters.\(name)", "\(name) is \(value); it must be \(rule)")
        }
        func need(_ name: String, _ isThere: Bool, _ hint: String) throws(RPCError) {
            guard !isThere else { return }
            throw fault("parameters.\(name)", "\(kind.rawValue) needs \(name)", hint)
        }
        try range("epochs", parameters.epochs, 1...100_000)
        try range("batch_size", parameters.batchSize, 1...65_536)
        try range("max_length", parameters.maxLength, 2...(1 << 20))
        try range("top_k", parameters.topK, 1...(1 << 24))
        try range("count", parameters.count, kind == .generate ? 1...4096 : 1...10_000_000)
        try check("temperature", parameters.temperature, "a number from 0 to 1000") {
            (0...1000).contains($0)
        }
        try check("top_p", parameters.topP, "a number above 0 and at most 1") { $0 > 0 && $0 <= 1 }
        try range("max_new_tokens", parameters.maxNewTokens, 1...(1 << 20))
        try check("learning_rate", parameters.learningRate, "a positive number") { $0 > 0 }
        try checkTraining(parameters, range, check)
        if kind == .ascent {
            try check("alpha", parameters.alpha, "a number from 0 to 1") { (0...1).contains($0) }
        } else {
            try check("alpha", parameters.alpha, "a number of at least 0") { $0 >= 0 }
        }
        try checkMethod(kind, parameters)
        try check("max_forget_loss", parameters.maxForgetLoss, "a positive number") { $0 > 0 }
        try range("checkpoint_steps", parameters.checkpointSteps, 1...1_000_000_000)
        try check("checkpoint_seconds", parameters.checkpointSeconds, "a positive number") { $0 > 0 }
        try checkTemplate(parameters)
        try check("scale", parameters.scale, "a finite number of the size of an f32") { abs($0) <= 3.0e38 }
        switch kind {
        case .taskVector:
            try need(
                "finetuned", parameters.finetuned != nil || parameters.transfer != nil,
                "name the fine-tuned version with --finetuned MODEL, or an adapter with --adapter DIR")
            if parameters.transfer != nil {
                for (name, isGiven) in [
                    ("finetuned", parameters.finetuned != nil), ("base", parameters.base != nil),
                ] where isGiven {
                    throw fault(
                        "parameters.\(name)", "an adapter is a direction by itself and has no \(name)",
                        "leave it out, or the adapter")
                }
            }
        case .retrain:
            try need(
                "from", parameters.from != nil || parameters.fresh == true,
                "name the version where it begins with --from MODEL@vN, or begin anew with --fresh")
        case .import, .create, .export:
            try need("transfer", parameters.transfer != nil, "open a transfer and send its descriptors first")
        case .generate:
            try need("prompt", parameters.prompt != nil || parameters.prompts != nil, "give --prompt TEXT")
            try checkGeneration(parameters)
        case .tokenize: try need("text", parameters.text != nil, "give --text TEXT")
        case .diff: try need("other", parameters.other != nil, "name two versions")
        case .pdu:
            try need(
                "retain_limit", parameters.retainLimit != nil,
                "give --retain-limit, somewhat above the model's retain loss")
        default: break
        }
    }

    /// The numbers of the gradient methods.
    private static func checkMethod(_ kind: JobKind, _ parameters: JobParameters) throws(RPCError) {
        func check(_ name: String, _ value: Double?, _ rule: String, _ holds: (Double) -> Bool)
            throws(RPCError)
        {
            guard let value, !(value.isFinite && holds(value)) else { return }
            throw fault("parameters.\(name)", "\(name) is \(value); it must be \(rule)")
        }
        try check("gamma", parameters.gamma, "a positive number") { $0 > 0 }
        try check("beta", parameters.beta, "a positive number") { $0 > 0 }
        try check("beta_unknown", parameters.betaUnknown, "a number of at least 0") { $0 >= 0 }
        try check("margin", parameters.margin, "a number of at least 0") { $0 >= 0 }
        try check("sam_rho", parameters.samRho, "a positive number") { $0 > 0 }
        try check("replacement_weight", parameters.replacementWeight, "a positive number") { $0 > 0 }
        try check("dual_rate", parameters.dualRate, "a positive number") { $0 > 0 }
        try check("retain_limit", parameters.retainLimit, "a positive number") { $0 > 0 }
        try check("steering", parameters.steering, "a positive number") { $0 > 0 }
        if parameters.retainLoss == .activations, kind != .rmu {
            throw fault(
                "parameters.retain_loss", "only rmu holds activations", "use --retain-loss nll or kl")
        }
        for (name, value, least) in [
            ("layer", parameters.layer, 0), ("alternates", parameters.alternates, 1),
            ("skip", parameters.skip, 0),
            ("dual_warm_up_epochs", parameters.dualWarmUpEpochs, 0),
        ] {
            guard let value, !(least...100_000).contains(value) else { continue }
            throw fault("parameters.\(name)", "\(name) is \(value); it lies between \(least) and 100000")
        }
        if kind == .idk, parameters.beta != nil, parameters.form != .dpo {
            throw fault(
                "parameters.beta", "only the form dpo of idk has a beta",
                "add --form dpo, or leave --beta out")
        }
        if let refusals = parameters.refusals {
            guard (1...1000).contains(refusals.count),
                refusals.allSatisfy({ (1...1000).contains($0.utf8.count) })
            else {
                throw fault("parameters.refusals", "there are 1 to 1000 refusals of 1 to 1000 bytes each")
            }
        }
    }

    private static func checkTraining(
        _ parameters: JobParameters,
        _ range: (String, Int?, ClosedRange<Int>) throws(RPCError) -> Void,
        _ check: (String, Double?, String, (Double) -> Bool) throws(RPCError) -> Void
    ) throws(RPCError) {
        try range("accumulate", parameters.accumulate, 1...65_536)
        try check("warmup_steps", parameters.warmupSteps, "a number of steps, or a share of them below 1") {
            $0 >= 0 && $0 <= 1e9 && ($0 < 1 || $0 == $0.rounded())
        }
        try check("weight_decay", parameters.weightDecay, "0 or a positive number") { $0 >= 0 }
        try check("epsilon", parameters.epsilon, "a positive number") { $0 > 0 }
        try check("clip_norm", parameters.clipNorm, "a positive number") { $0 > 0 }
        try range("lora_rank", parameters.loraRank, 1...16_384)
        try check("lora_alpha", parameters.loraAlpha, "a positive number") { $0 > 0 }
        for (name, isGiven) in [
            ("lora_alpha", parameters.loraAlpha != nil), ("lora_targets", parameters.loraTargets != nil),
        ] where isGiven && parameters.loraRank == nil {
            throw fault("parameters.\(name)", "\(name) needs lora_rank", "give --lora-rank N")
        }
        for (name, isGiven) in [
            ("train_tensors", parameters.trainTensors != nil),
            ("freeze_tensors", parameters.freezeTensors != nil),
        ] where isGiven && parameters.loraRank != nil {
            throw fault(
                "parameters.\(name)", "adapters are all that is trained with lora_rank",
                "name modules with --lora-targets and blocks with --train-layers")
        }
        if let betas = parameters.betas {
            guard betas.count == 2, betas.allSatisfy({ $0.isFinite && (0..<1).contains($0) }) else {
                throw fault("parameters.betas", "betas are two numbers from 0 to below 1")
            }
        }
        for (name, patterns) in [
            ("train_tensors", parameters.trainTensors), ("freeze_tensors", parameters.freezeTensors),
            ("lora_targets", parameters.loraTargets),
        ] {
            guard let patterns else { continue }
            guard patterns.count <= 1024, patterns.allSatisfy({ (1...1024).contains($0.utf8.count) }) else {
                throw fault(
                    "parameters.\(name)", "\(name) are at most 1024 names of 1 to 1024 bytes")
            }
        }
    }

    /// How much is generated, and how it is drawn.
    private static func checkGeneration(_ parameters: JobParameters) throws(RPCError) {
        if let prompts = parameters.prompts {
            guard parameters.prompt == nil else {
                throw fault("parameters.prompts", "prompt and prompts are given", "give one of them")
            }
            guard (1...4096).contains(prompts.count) else {
                throw fault(
                    "parameters.prompts", "there are \(prompts.count) prompts; a job takes 1 to 4096",
                    "split them over several jobs")
            }
        }
        let draws = parameters.temperature != 0
        if !draws, parameters.topK != nil || parameters.topP != nil || parameters.count ?? 1 > 1 {
            throw fault(
                "parameters.temperature",
                "temperature 0 always takes the most likely token, so nothing is drawn",
                "raise --temperature, or leave --top-k, --top-p and --count out")
        }
    }

    /// What a template takes, and what it needs.
    private static func checkTemplate(_ parameters: JobParameters) throws(RPCError) {
        let isFramed = parameters.promptPrefix != nil || parameters.promptSuffix != nil
        let name = parameters.template ?? (isFramed ? .custom : .plain)
        if isFramed, name != .custom {
            let field = parameters.promptPrefix != nil ? "prompt_prefix" : "prompt_suffix"
            throw fault(
                "parameters.\(field)", "the template \(name.rawValue) has its own words around a prompt",
                "leave out --template, or --prompt-prefix and --prompt-suffix")
        }
        if name == .custom, !isFramed {
            throw fault(
                "parameters.template", "the template custom is nothing without a prefix or a suffix",
                "give --prompt-prefix or --prompt-suffix")
        }
        if parameters.systemPrompt != nil, !name.takesSystemPrompt {
            throw fault(
                "parameters.system_prompt", "the template \(name.rawValue) has no place for a system prompt",
                "leave it out, or choose another --template")
        }
        for (field, text) in [
            ("system_prompt", parameters.systemPrompt), ("prompt_prefix", parameters.promptPrefix),
            ("prompt_suffix", parameters.promptSuffix),
        ] {
            if let text, text.utf8.count > 65_536 {
                throw fault("parameters.\(field)", "\(field) has more than 65536 bytes", "shorten it")
            }
        }
    }

    private static func checkGate(_ spec: JobSpec) throws(RPCError) {
        guard let text = spec.gate else { return }
        do {
            try Gate.parse(text).check(given: spec.gateData)
        } catch {
            throw fault("gate", error.message, error.hint)
        }
        guard spec.evaluate != false else {
            throw fault(
                "gate", "a gate needs the evaluation that was switched off",
                "leave --no-evaluate or the gate out")
        }
    }
}
