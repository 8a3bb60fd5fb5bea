// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Engine
import Protocol

/// What every job has at hand: its order, the store, the engine's threads, and the way back to the daemon.
final class JobContext {
    let order: WorkerOrder
    /// The transfer's descriptors, in the order of `order.files`.
    let descriptors: [Int32]
    let store: ObjectStore
    let compute: ComputeContext
    /// What will be kept of the job beside its figures: `evidence.add(.units, […])` at any time before its end.
    let evidence = EvidenceCollector()
    /// Why the job runs in another arithmetic than was asked for, if it does.
    let precisionWarning: String?
    /// The processes that do the job together.
    let ranks: Ranks
    /// The same for writing versions; `nil` for one alone.
    var partners: (any RewritePartners)? { ranks.isAlone ? nil : ranks }
    /// Who shares the parameters out; `nil` where each rank has all of them.
    var owners: Ranks? { parameters.shardParameters == true ? ranks : nil }
    /// What the other ranks held at most, bytes, once they are done.
    var peakMemoryOfOthers: Int64 = 0
    /// What the job was predicted to hold at most, bytes, where that can be told.
    private(set) var predictedMemory: Int64?
    /// Where the time of each profiled phase went.
    private(set) var profiles = JSONObject()
    /// Rows that the order's datasets are read without.
    let excluded: Set<RowText>
    /// Whether it is a recorded job that is done again as a part of another: nobody waits for its snapshot.
    private let isRepetition: Bool
    private let output: MessageWriter
    private let inbox: Inbox

    init(
        order: WorkerOrder, descriptors: [Int32], output: MessageWriter, inbox: Inbox, ranks: Ranks = .alone
    ) throws {
        self.order = order
        self.ranks = ranks
        self.descriptors = descriptors
        self.output = output
        self.inbox = inbox
        if let keys = order.keys {
            try inbox.keys.take(keys.keys, writing: keys.writing)
            store = try ObjectStore(root: order.store, keys: inbox.keys)
        } else {
            store = try ObjectStore(root: order.store)
        }
        (compute, precisionWarning) = try Self.compute(order)
        excluded = []
        isRepetition = false
    }

    /// The threads and the arithmetic that the order asks for, or why they are others.
    private static func compute(_ order: WorkerOrder) throws -> (ComputeContext, String?) {
        var brain: BrainProducts?
        var warning: String?
        if order.spec.parameters?.device == .cuda {
            return (try ComputeContext(threads: max(1, order.threads), card: CUDACard()), nil)
        }
        if order.spec.parameters?.precision == .bf16 {
            do { brain = try .fastest() } catch { warning = "bf16: \(error); computed in f32" }
        }
        return (try ComputeContext(threads: max(1, order.threads), brain: brain), warning)
    }

    /// A recorded job, to be done again on `base` and without some rows; it is not measured.
    init(
        repeating step: LineageStep, on base: VersionBinding, without rows: Set<RowText>,
        in context: JobContext
    ) throws {
        var order = context.order
        order.spec = step.spec
        order.spec.evaluate = false
        (order.spec.gate, order.spec.reference, order.spec.holdout) = (nil, nil, nil)
        // Sets that were only measured do not matter.
        if !step.spec.trainedOn.contains(where: { $0 == step.spec.forget }) { order.spec.forget = nil }
        if !step.spec.trainedOn.contains(where: { $0 == step.spec.retain }) { order.spec.retain = nil }
        (order.base, order.reference, order.lineage, order.checkpoint) = (base, nil, nil, nil)
        order.earlier = nil
        self.order = order
        descriptors = []
        ranks = .alone
        store = context.store
        // The arithmetic is the recorded job's own: another would give other bits.
        (compute, precisionWarning) =
            order.spec.parameters?.precision == .bf16 || order.spec.parameters?.device == .cuda
            ? try Self.compute(order) : (context.compute, nil)
        output = context.output
        inbox = context.inbox
        excluded = rows
        isRepetition = true
    }

    var spec: JobSpec { order.spec }
    var parameters: JobParameters { order.spec.parameters ?? JobParameters() }
    /// Threads for work on the store.
    var threads: Int { max(1, order.threads) }

    // MARK: The way back

    /// Sends a message.
    func send(_ message: WorkerMessage) throws { try output.send(message) }

    /// Adds a line to the job's log.
    func log(_ message: String) { try? output.send(.log(level: "info", message: message)) }

    // MARK: Memory

    /// What the job takes to measure and to attack what it has.
    func measuringMemory(_ configuration: ModelConfiguration, _ sets: Evaluator.Sets) -> MeasuringMemory {
        MeasuringMemory(
            configuration, parameters, sets,
            metrics: wantsEvaluation && spec.kind != .attack ? metrics : nil, attacks: spec.attacks ?? [],
            threads: compute.pool.threads)
    }

    /// Predicts the memory of a job that does not train from its very rows, and refuses what cannot fit.
    ///
    /// - Parameter facts: Rows of an `update` by edit, and what they are with their new answers.
    func predictMemory(
        _ configuration: ModelConfiguration, _ sets: Evaluator.Sets, facts: [Example] = []
    ) throws {
        let rows = [sets.forget, sets.retain].compactMap(\.self) + (facts.isEmpty ? [] : [facts])
        try predictMemory(
            EditMemory(
                configuration, spec.kind, parameters, sizes: RowSizes(rows),
                measuring: measuringMemory(configuration, sets), facts: facts.count,
                mustMeasure: spec.gate != nil, threads: compute.pool.threads
            ).answer())
    }

    /// Predicts the memory of continuing prompts of up to `length` tokens.
    func predictMemory(_ configuration: ModelConfiguration, prompt length: Int) throws {
        var measuring = MeasuringMemory(configuration, threads: compute.pool.threads)
        measuring.generate(ContinuedTexts(generating: parameters, prompt: length))
        try predictMemory(
            EditMemory(
                configuration, spec.kind, parameters, sizes: RowSizes([]), measuring: measuring, facts: 0,
                mustMeasure: true, threads: compute.pool.threads
            ).answer())
    }

    /// Takes in a job that is done again as a part of this one.
    func predictMemory(with part: JobContext) {
        predictedMemory = predictedMemory.map { max($0, part.predictedMemory ?? $0) }
    }

    /// Takes down what the job is predicted to hold, and refuses what this machine has not.
    func predictMemory(_ answer: MemoryAnswer) throws {
        predictedMemory = answer.memory
        if let installed = PeakMemory.installed, answer.memory > installed {
            throw JobFailure(
                .memory,
                "the job needs about \(answer.memory >> 20) MiB; this machine has \(installed >> 20) MiB",
                hint: answer.hint(limit: installed))
        }
        log("memory is predicted to peak at \(answer.memory >> 20) MiB")
    }

    /// Runs a phase of the job; with `profile`, tells where its time went.
    func profiled<Result>(_ phase: String, _ body: () throws -> Result) rethrows -> Result {
        guard parameters.profile == true else { return try body() }
        compute.profile.start()
        let result = try body()
        let figures = compute.profile.stop()
        profiles[phase] = figures.json
        log("profile of \(phase): \(figures.words)")
        return result
    }

    /// Ends the job if somebody wants that; to be called at every step and chunk.
    func checkCancelled() throws { if inbox.isCancelled { throw Cancelled() } }

    /// Whether somebody wants a training job to stop and go on later.
    var isPausing: Bool { inbox.isPausing && spec.kind.trains }

    /// Begins a phase of the job, whose progress is then told.
    func phase(_ name: String, unit: String) -> Phase { Phase(name, unit: unit, of: self) }

    // MARK: Versions

    /// Opens a version of the order.
    /// - Throws: `JobFailure` where the order lacks it.
    func reader(_ binding: VersionBinding?, _ role: String) throws -> CheckpointReader {
        guard let binding else { throw JobFailure(.internal, "the order names no \(role) version") }
        return try CheckpointReader(store: store, manifestID: binding.manifest, cachedObjects: 2)
    }

    /// Makes sure that the base is whole and durable, says so, and waits until that is recorded. The first rank does it
    /// for all.
    func snapshot(_ base: CheckpointReader) throws {
        if isRepetition { return }
        if ranks.isFirst { try takeSnapshot(base) }
        try ranks.meet()
    }

    private func takeSnapshot(_ base: CheckpointReader) throws {
        guard let binding = order.base else { throw JobFailure(.internal, "the order names no base version") }
        let phase = phase("snapshot", unit: "bytes")
        try base.verifyAll(threads: threads) { try phase.update($0, of: $1) }
        let digest = base.manifest.versionDigest
        guard digest == binding.digest else {
            throw JobFailure(
                .integrity,
                "the files of \(binding.model)@\(binding.version) have the digest \(digest.short), not \(binding.digest.short)",
                hint: "run: unlearnctl store verify")
        }
        try send(
            .snapshot(
                SnapshotReport(
                    version: binding.version, digest: digest, objects: base.manifest.objects.count + 1,
                    bytes: Int64(base.manifest.size))))
        try inbox.waitToProceed()
    }

    /// The backup directory of the order.
    /// - Throws: `JobFailure` where the order names none; `CheckpointError`.
    func backup() throws -> BackupDirectory {
        guard let root = order.backup else {
            throw JobFailure(.internal, "the order names no backup directory")
        }
        guard let handed = order.backupKeys else { return try BackupDirectory(root: root, making: false) }
        let keys = HandedKeys()
        try keys.take(handed.keys, writing: handed.writing)
        return try BackupDirectory(root: root, making: false, access: .handed(keys))
    }

    /// Refuses models that the card, where one computes, cannot: the job's own, and the reference.
    func requireCard(for configuration: ModelConfiguration) throws {
        guard compute.card != nil else { return }
        try CUDASupport.require(configuration)
        guard order.reference != nil else { return }
        let reference = VersionFiles(reader: try reader(order.reference, "reference"))
        try CUDASupport.require(try reference.configuration())
    }

    // MARK: Ranks

    /// Refuses ranks that are not as many as were ordered, or that compute otherwise than the first one: they would
    /// average over different arithmetic.
    func requireLikeRanks() throws {
        let ordered = parameters.ranks ?? 1
        guard ranks.count == ordered else {
            throw JobFailure(
                .internal, "the launcher started \(ranks.count) ranks; the order is for \(ordered)",
                hint: "retry the job")
        }
        guard !ranks.isAlone else { return }
        var report = environmentReport
        report.threads = 0
        let own = try JSONValue(encoding: report).serialized(sortedKeys: true)
        let first = try ranks.fromFirst(own)
        let likeness = try ranks.gather([own == first ? 1 : 0])
        if let other = likeness.firstIndex(of: [0]) {
            throw JobFailure(
                .unsupported,
                "rank \(other) does not compute on the same kernels as rank 0, \(String(decoding: first, as: UTF8.self))",
                hint: "run all ranks on processors of one kind, with the same software")
        }
        log("\(ranks.count) ranks")
    }

    // MARK: How it was made

    /// What the arithmetic runs on; without matrix products OpenBLAS has no part in it.
    var environmentReport: NumericEnvironmentReport {
        let environment = compute.environment
        return NumericEnvironmentReport(
            coreType: usesMatrices ? environment.blasCore : nil,
            blas: usesMatrices ? environment.blasBuild : nil,
            kernels: environment.kernelLevel, arithmetic: environment.arithmetic, threads: environment.threads
        )
    }

    /// The same for people.
    var environmentInWords: String {
        let environment = compute.environment
        let kernels = usesMatrices ? environment.summary : "kernels \(environment.kernelLevel)"
        return "\(kernels), \(environment.threads) threads"
    }

    private var usesMatrices: Bool {
        switch spec.kind {
        case .ablate, .dampen, .evaluate, .attack, .generate: true
        case .taskVector: wantsEvaluation
        default: spec.kind.trains || spec.kind == .exact
        }
    }

    /// Whether figures are to be taken: unless refused, where there is a set to take them on, a gate that looks at
    /// them, or an earlier request to measure again. Training on is otherwise measured only when it was given more than
    /// its own rows.
    var wantsEvaluation: Bool {
        let remeasures =
            order.earlier?.contains { $0.request.reason == nil && $0.request.accepted != nil } ?? false
        if spec.evaluate != false, spec.gate != nil || remeasures { return true }
        let measured =
            spec.kind == .finetune && spec.evaluate == nil
            ? (spec.retain == nil ? spec.holdout : spec.forget ?? spec.holdout)
            : spec.forget ?? spec.retain ?? spec.holdout ?? spec.utility?.first?.dataset
        return spec.evaluate != false && measured != nil
    }

    /// What is measured: what was asked for, and what the gate looks at.
    var metrics: Set<EvaluationMetric> {
        let asked = parameters.metrics.map(Set.init) ?? EvaluationMetric.fast
        let gate = spec.gate.flatMap { try? Gate.parse($0) }?.metrics ?? []
        return asked.union(gate).subtracting(order.reference == nil ? [.reference] : [])
    }

    /// What the manifest says about how a version was made: enough to make it again, and nothing that would
    /// differ the next time. No times, no job numbers, no free text.
    ///
    /// - Parameter files: Hashes of files that came by descriptor, by name.
    func provenance(files: [String: Digest] = [:]) throws -> JSONObject {
        var spec = try JSONValue(encoding: order.spec).objectValue ?? JSONObject()
        for key in ["note", "labels", "key", "priority", "after", "at", "hold", "sweep", "review_lease"] {
            spec[key] = nil
        }
        if var parameters = spec["parameters"]?.objectValue {
            for key in [
                "transfer", "launcher", "partition", "profile", "checkpoint_steps", "checkpoint_seconds",
            ] {
                parameters[key] = nil
            }
            // Sums over gradients are all that their number changes.
            if !self.spec.sharesGradients { parameters["ranks"] = nil }
            spec["parameters"] = .object(parameters)
        }
        var inputs = JSONObject()
        let bindings = [("base", order.base), ("finetuned", order.finetuned), ("other", order.other)]
        for case (let role, let binding?) in bindings { inputs[role] = .string(binding.digest.hex) }
        for (name, digest) in files.sorted(by: { $0.key < $1.key }) { inputs[name] = .string(digest.hex) }
        var provenance = JSONObject()
        provenance["kind"] = .string(self.spec.kind.rawValue)
        provenance["spec"] = .object(spec)
        provenance["inputs"] = .object(inputs)
        provenance["environment"] = try JSONValue(encoding: environmentReport)
        if isRepetition { provenance["without"] = .integer(Int64(excluded.count)) }
        provenance["software"] = .string(Software.version)
        return provenance
    }
}
