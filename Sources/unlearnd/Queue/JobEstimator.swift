// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol

/// Predicts what a job needs, from sizes alone.
///
/// Training holds four f32 numbers a parameter (weight, gradient and AdamW's two moments) and the activations of
/// one batch; measuring holds the weights in f32 and the activations of one layer; jobs that only move bytes work
/// chunk by chunk. Each of several ranks holds all of it but its rows and its slice of the moments; if they share the
/// parameters out, slices of everything, and a few blocks.
struct JobEstimator {
    /// What a worker has before it reads anything, bytes.
    static let worker: Int64 = 128 << 20
    /// What work by 16 MiB chunks needs beyond that.
    static let chunks: Int64 = 272 << 20

    var spec: JobSpec
    /// The base version.
    var shape: ModelShape?
    var forget: StoredDataset?
    var retain: StoredDataset?
    var holdout: StoredDataset?
    var utility: [StoredDataset] = []
    /// Bytes of an import's files.
    var transferred: Int64 = 0
    /// What the worker's program computed, where it was asked.
    var predicted: MemoryAnswer?

    private var parameters: JobParameters { spec.parameters ?? JobParameters() }
    private var batch: Int64 { Int64(parameters.batchSize ?? 4) }
    private var datasets: [StoredDataset] { [forget, retain, holdout].compactMap(\.self) + utility }

    /// Tokens that a template adds to a row, at most.
    private var layout: Int64 { Int64(parameters.promptTemplate?.overhead ?? 0) }

    /// The longest batch row, tokens.
    private var length: Int64 {
        let context = shape.map(\.context).flatMap { $0 > 0 ? $0 : nil } ?? 512
        let cap = parameters.maxLength.map(Int64.init) ?? min(512, context)
        return min(cap, datasets.map { Int64($0.longest) + layout }.max() ?? cap)
    }

    /// Whether base and result are measured.
    var evaluates: Bool {
        spec.kind == .evaluate || spec.kind.unlearns && spec.evaluate != false && !datasets.isEmpty
    }

    /// Whether the worker's program knows what such a job takes.
    static func asks(_ kind: JobKind) -> Bool {
        kind.trains || [.ablate, .dampen, .attack, .evaluate, .generate, .taskVector, .exact].contains(kind)
    }

    /// What decides the memory of a job that computes with a model, where its configuration is known.
    func question(threads: Int) -> MemoryQuestion? {
        guard Self.asks(spec.kind), let config = shape?.configuration else { return nil }
        let cap = length
        func longest(_ sets: [StoredDataset]) -> Int {
            Int(min(cap, Int64(sets.map(\.longest).max() ?? 0) + layout, Int64(Int32.max)))
        }
        let seen = spec.kind.trains && !spec.kind.trainsOnForgetSet ? [retain ?? forget] : [forget, retain]
        let prompts = parameters.prompts ?? [parameters.prompt ?? ""]
        var question = MemoryQuestion(
            config: config, kind: spec.kind, parameters: parameters,
            length: spec.kind == .generate
                ? (prompts.lazy.map(\.utf8.count).max() ?? 0) + Int(layout) + 1
                : longest(seen.compactMap(\.self)),
            measured: evaluates ? longest(datasets) : nil, threads: spec.threadsPerRank(of: threads))
        // Running text is cut into windows.
        let windows = datasets.contains { $0.textRows > 0 }
        question.rows = windows ? nil : datasets.map(\.rows).max()
        question.facts = spec.editsFacts ? forget?.rows : nil
        question.metrics = metrics.sorted { $0.rawValue < $1.rawValue }
        question.isGated = spec.gate != nil
        question.attacks = spec.attacks
        return question
    }

    /// What is looked at beside what each pass gives.
    private var metrics: Set<EvaluationMetric> {
        (spec.gate.flatMap { try? Gate.parse($0) }?.metrics ?? []).union(parameters.metrics ?? [])
    }

    /// Optimiser steps, where the rows alone decide them.
    var steps: Int? {
        let epochs = parameters.epochs ?? 3
        let rows = spec.rowsPerStep
        func batches(_ set: StoredDataset?) -> Int? {
            set.flatMap { $0.textRows == 0 ? ($0.rows + rows - 1) / rows : nil }
        }
        switch spec.kind {
        case _ where spec.editsFacts: return nil
        case .finetune, .retrain: return batches(retain ?? forget).map { $0 * epochs }
        case _ where spec.kind.trainsOnForgetSet:
            guard let forget = batches(forget) else { return nil }
            if !spec.pairsRetain || parameters.pairing == .cycle { return forget * epochs }
            return batches(retain).map { min(forget, $0) * epochs }
        default: return nil
        }
    }

    /// The whole estimate.
    var estimate: JobEstimate {
        JobEstimate(memory: memory, disk: disk, seconds: seconds, steps: steps, card: predicted?.card)
    }

    /// Rough: the bytes and the arithmetic of the job over what one thread of a server of these years gets
    /// through, 0.12 GB/s of checkpoint and 80 GFLOP/s. A token of text is taken as four bytes.
    private var seconds: Double? {
        guard let shape else { return nil }
        func tokens(_ set: StoredDataset?) -> Double { Double(set?.bytes ?? 0) / 4 }
        let epochs = Double(parameters.epochs ?? 3)
        let trained: Double
        switch spec.kind {
        case .finetune, .retrain: trained = epochs * tokens(retain ?? forget)
        case _ where spec.kind.trainsOnForgetSet:
            // One batch of each set a step; what is answered otherwise is about as long again, and the forget
            // gradient is taken twice where it is taken uphill.
            let rows = spec.pairsRetain ? retain.map { tokens($0) / Double(max($0.rows, 1)) } ?? 0 : 0
            let times = (RowRequirement(spec.kind) == nil ? 1.0 : 2) * (parameters.samRho == nil ? 1 : 2)
            trained = epochs * (times * tokens(forget) + rows * Double(forget?.rows ?? 0))
        default: trained = 0
        }
        let versions = spec.reference == nil ? 2.0 : 3.0
        let measured = evaluates ? versions * datasets.reduce(0) { $0 + tokens($1) } : 0
        let operations = Double(shape.parameters) * (6 * trained + 2 * measured)
        let bytes = Double(shape.bytes) * (spec.kind.editsVersion ? 1 : 0.3)
        let threads = Double(max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        return (operations / 80e9 + bytes / 0.12e9) / threads
    }

    /// Bytes of the version that it makes; 0 for none.
    var versionBytes: Int64 {
        switch spec.kind {
        case .import, .create: transferred
        case _ where spec.kind.editsVersion: shape?.bytes ?? 0
        default: 0
        }
    }

    private var disk: Int64 {
        switch spec.kind {
        case .import, .create: transferred
        // With the training checkpoint: weights and two moments in f32.
        case _ where spec.kind.trains: (shape?.bytes ?? 0) + 12 * (shape?.parameters ?? 0)
        case _ where spec.kind.editsVersion: shape?.bytes ?? 0
        default: 0
        }
    }

    /// What texts that are continued together take: the activations of the longest prompt, keys and values of all of
    /// them (of 256 MiB, unless a single one takes more).
    private var generating: Double {
        let prompts = parameters.prompts ?? [parameters.prompt ?? ""]
        let longest = prompts.lazy.map(\.utf8.count).max() ?? 0
        let context = shape.map(\.context).flatMap { $0 > 0 ? Double($0) : nil } ?? 1e6
        let tokens = min(
            context,
            Double(longest) + Double(layout) + Double(parameters.maxNewTokens ?? MethodDefaults.newTokens))
        return tokens * 64 * Double(shape?.hidden ?? 0)
            + keysAndValues(tokens, texts: Double(prompts.count) * Double(parameters.count ?? 1))
    }

    /// Keys and values of texts of so many tokens that are continued together.
    private func keysAndValues(_ tokens: Double, texts: Double) -> Double {
        let text = tokens * 8 * Double(shape?.hidden ?? 0) * Double(shape?.layers ?? 0)
        return max(text, min(text * min(16, texts), Double(256 << 20)))
    }

    /// The same for measuring what the model says, where that is looked at.
    private var continuing: Double {
        guard metrics.contains(where: \.generates) else { return 0 }
        let context = shape.map(\.context).flatMap { $0 > 0 ? Double($0) : nil } ?? 1e6
        let tokens = min(
            context, Double(length) + Double(parameters.maxNewTokens ?? MethodDefaults.measuredNewTokens))
        return keysAndValues(tokens, texts: datasets.reduce(0) { $0 + Double($1.rows) })
    }

    /// What attacks hold: weights and a copy of them; for `relearn` gradients and two moments, for soft prompts
    /// gradients, with one batch's activations.
    private var attackingMemory: Int64 {
        let attacks = spec.attacks ?? []
        guard !attacks.isEmpty else { return 0 }
        let weights = 4 * Double(shape?.parameters ?? 0)
        let (hidden, layers) = (Double(shape?.hidden ?? 0), Double(shape?.layers ?? 0))
        let perToken = 8 * Double(shape?.vocabulary ?? 0) + layers * (80 * hidden + 48 * Double(length))
        let copies: Double = attacks.contains(.relearn) ? 5 : attacks.contains(.prompt) ? 3 : 2
        let bytes = Double(Self.worker) + copies * weights + Double(batch) * Double(length) * perToken
        return Int64(min(bytes, 1e18))
    }

    private var memory: Int64 {
        if let predicted { return predicted.memory }
        let ranks = Double(parameters.ranks ?? 1)
        let attacked = attackingMemory
        // In floating point: sizes that a client names may be absurd, and must not overflow.
        let weights = 4 * Double(shape?.parameters ?? 0)
        let tokens = Double(batch) * Double(length)
        let hidden = Double(shape?.hidden ?? 0)
        let layers = Double(shape?.layers ?? 0)
        let logits = 8 * Double(shape?.vocabulary ?? 0)
        let (worker, chunks) = (Double(Self.worker), Double(Self.chunks))
        let isSharded = parameters.shardParameters == true
        // Two whole blocks, slices, and what lies in no block.
        let partly = 2 * weights / max(1, layers) + weights / ranks + hidden * logits
        let held = isSharded ? partly : weights
        let measuring = worker + held + tokens * (logits + 64 * hidden)
        // A gradient and the activations of one row.
        let backward =
            parameters.metrics?.contains(.gradientNorm) == true
            ? weights + Double(length) * (logits + layers * (80 * hidden + 48 * Double(length))) : 0
        let measured = evaluates ? measuring + max(backward, continuing) : 0
        let attacking = Double(attacked)
        let bytes: Double
        switch spec.kind {
        case .update where spec.editsFacts:
            // Weights, what one row keeps for the way back, and the square of what a down projection reads, in f64.
            let inner = Double(shape.map { $0.inner > 0 ? $0.inner : 4 * $0.hidden } ?? 0)
            let activations = 8 * Double(length) * (logits + 64 * hidden + layers * 80 * hidden)
            bytes = max(worker + weights + chunks + 8 * inner * inner + activations, measured, attacking)
        case _ where spec.kind.trains:
            let sequences = RowRequirement(spec.kind) == nil ? 1.0 : 2
            let activations = sequences * tokens * (logits + layers * (80 * hidden + 48 * Double(length)))
            let shared = 2 * weights + activations
            bytes = max(worker + 2 * held + copies(weights) + shared / ranks, measured, attacking)
        case .dampen:
            // Weights, gradient, two importances.
            let activations = tokens * (logits + layers * (80 * hidden + 48 * Double(length)))
            bytes = max(worker + 4 * weights + activations, measured, attacking)
        case .ablate:
            // Weights and their gradient; what one batch keeps for the way back.
            let activations = tokens * (logits + layers * (80 * hidden + 48 * Double(length)))
            bytes = max(worker + 2 * weights + activations, worker + chunks, measured, attacking)
        case .evaluate: bytes = measured
        case .attack: bytes = max(measuring, attacking)
        case .generate: bytes = worker + weights + 8 * logits + generating
        case .create: bytes = worker + chunks + 2 * Double(transferred)
        case .tokenize: bytes = worker
        case .taskVector: bytes = max(worker + chunks, measured, attacking)
        default: bytes = worker + chunks
        }
        return Int64(min(ranks * bytes, 1e18))
    }

    /// What objectives keep of the base and of the weights, bytes. What the base says is kept as one state for each
    /// token (at most one a byte of text) and the head, or as a copy of the weights if that is less.
    private func copies(_ weights: Double) -> Double {
        func outputs(_ set: StoredDataset?) -> Double {
            let states = Double(set?.bytes ?? 0) + Double(shape?.vocabulary ?? 0)
            let hidden = Double(shape?.hidden ?? 0)
            return hidden == 0 ? weights : min(weights, 4 * hidden * states)
        }
        return (parameters.retainLoss == .kl ? outputs(retain) : 0)
            + (spec.kind == .undial ? outputs(forget) : 0) + (parameters.samRho == nil ? 0 : weights)
    }
}
