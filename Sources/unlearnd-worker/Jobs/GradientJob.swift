// SPDX-License-Identifier: Apache-2.0

import Engine
import Protocol

/// Unlearns by training: what the kind makes of the forget set, held by the retain set.
struct GradientJob {
    private let context: JobContext

    init(_ context: JobContext) { self.context = context }

    private var kind: JobKind { context.spec.kind }
    private var parameters: JobParameters { context.parameters }

    func run() throws -> WorkerResult {
        let job = try TrainingJob(context)
        guard let forget = job.sets.forget else {
            throw JobFailure(.badInput, "\(kind.rawValue) has no forget set", hint: "give --forget")
        }
        let batches = job.batcher(forget, .forget)
        let data: TrainingData
        var retainTerm: (any LossTerm)?
        if context.spec.pairsRetain, let retain = job.sets.retain {
            data = .pairs(
                try PairedBatches(
                    forget: batches, retain: job.batcher(retain, .retain), pairing: parameters.pairing))
            retainTerm = try self.retainTerm(retain, job)
        } else {
            guard !context.spec.needsRetain else {
                throw JobFailure(.badInput, "\(kind.rawValue) has no retain set", hint: "give --retain")
            }
            data = .forgetting(batches)
        }
        let objective = UnlearningObjective(
            forget: try forgetTerm(forget, job), retain: retainTerm, weights: weights,
            sharpness: parameters.samRho, dual: dual)
        return try job.run(data, objective)
    }

    private var weights: LossWeights {
        kind == .ascent
            ? .mix(parameters.alpha ?? 0.5)
            : .coefficients(
                gamma: parameters.gamma ?? kind.defaults.gamma, alpha: context.spec.retainWeight)
    }

    private var dual: DualWeight? {
        guard kind == .pdu, let limit = parameters.retainLimit else { return nil }
        return DualWeight(
            rate: parameters.dualRate ?? MethodDefaults.dualRate, limit: limit,
            warmUpEpochs: parameters.dualWarmUpEpochs ?? MethodDefaults.dualWarmUpEpochs)
    }

    private func retainTerm(_ retain: [Example], _ job: TrainingJob) throws -> any LossTerm {
        switch parameters.retainLoss ?? (kind == .rmu ? .activations : .nll) {
        case .nll: LikelihoodTerm()
        case .kl: try DivergenceTerm(retain, job.configuration)
        case .activations:
            try ActivationTerm(.base, layer: layer(job), examples: retain, job.configuration)
        }
    }

    private func layer(_ job: TrainingJob) -> Int {
        parameters.layer ?? MethodDefaults.layer(of: job.configuration.layers)
    }

    private func forgetTerm(_ forget: [Example], _ job: TrainingJob) throws -> any LossTerm {
        let beta = parameters.beta ?? kind.defaults.beta ?? 1
        switch kind {
        case .npo: return NegativePreferenceTerm(beta: beta, examples: forget)
        case .simnpo:
            return SimplePreferenceTerm(beta: beta, margin: parameters.margin ?? kind.defaults.margin ?? 0)
        case .dpo: return PreferenceTerm(beta: beta, lose: forget, win: try replacements(job))
        case .idk:
            let answers = try refusals(job)
            return parameters.form == .dpo
                ? PreferenceTerm(beta: beta, lose: forget, win: answers) : ReplacementTerm(answers)
        case .altpo: return PreferenceTerm(beta: beta, lose: forget, sampler: try sampler(job))
        case .update:
            return UpdateTerm(
                beta: beta, old: forget, new: try replacements(job),
                weight: parameters.replacementWeight ?? MethodDefaults.replacementWeight)
        case .rmu:
            let steering = Float(parameters.steering ?? MethodDefaults.steering)
            let direction = ActivationTerm.direction(
                width: job.configuration.hiddenSize, seed: context.spec.seed ?? 0)
            return try ActivationTerm(
                .vector(direction.map { $0 * steering }), layer: layer(job), examples: forget,
                job.configuration)
        case .wga: return WeightedLikelihoodTerm(known: beta)
        case .satimp:
            return WeightedLikelihoodTerm(
                known: beta, unknown: parameters.betaUnknown ?? kind.defaults.betaUnknown ?? 0)
        case .undial: return try LogitTerm(.selfDistillation(beta: beta), forget, job.configuration)
        case .ceu:
            return try LogitTerm(
                .complement(skip: parameters.skip ?? MethodDefaults.skip), forget, job.configuration)
        case .pdu: return try LogitTerm(.spread, forget, job.configuration)
        default: return LikelihoodTerm(rising: true)
        }
    }

    // MARK: Other answers

    /// The forget rows, each of which is one example: rows that can be answered otherwise are never cut.
    private func rows(_ job: TrainingJob) throws -> [DatasetRow] {
        let rows = job.rows.forget ?? []
        try RowRequirement(kind)?.check(rows, name: "forget set", for: kind)
        return rows
    }

    private func replacements(_ job: TrainingJob) throws -> Alternatives {
        try alternatives(try rows(job).map { row in (row, row.replacement.map { [$0] } ?? []) }, job)
    }

    /// A row's own replacement, else refusals: a new one each epoch while there are any.
    private func refusals(_ job: TrainingJob) throws -> Alternatives {
        let rows = try rows(job)
        let list = parameters.refusals ?? Refusals.standard
        let count = min(list.count, parameters.epochs ?? Trainer.Settings().epochs)
        let dealt = Refusals.deal(list, rows: rows.count, count: count, seed: context.spec.seed ?? 0)
        return try alternatives(
            zip(rows, dealt).map { row, refusals in
                (row, row.replacement.map { Array(repeating: $0, count: count) } ?? refusals)
            }, job)
    }

    /// What draws answers for the rows that bring no replacement.
    private func sampler(_ job: TrainingJob) throws -> AnswerSampler {
        let given = try rows(job).enumerated().compactMap { index, row in
            row.replacement.flatMap(row.answered).map { (index, $0) }
        }
        let examples =
            given.isEmpty
            ? []
            : try RowSets.examples(
                of: given.map(\.1), name: "forget set’s replacements", job.files, job.configuration,
                parameters)
        return AnswerSampler(
            count: parameters.alternates ?? MethodDefaults.alternates,
            maximum: parameters.maxNewTokens ?? MethodDefaults.alternateTokens, seed: context.spec.seed ?? 0,
            given: Dictionary(uniqueKeysWithValues: zip(given.map(\.0), examples)))
    }

    private func alternatives(_ rows: [(DatasetRow, [String])], _ job: TrainingJob) throws -> Alternatives {
        let answered = rows.map { row, answers in answers.compactMap(row.answered) }
        let examples = try RowSets.examples(
            of: answered.flatMap(\.self), name: "forget set’s other answers", job.files, job.configuration,
            parameters)
        var next = examples[...]
        return Alternatives(
            answered.map { answers in
                defer { next = next.dropFirst(answers.count) }
                return Array(next.prefix(answers.count))
            })
    }
}
