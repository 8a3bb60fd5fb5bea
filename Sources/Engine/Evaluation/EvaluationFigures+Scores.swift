// SPDX-License-Identifier: Apache-2.0

import Protocol

extension EvaluationFigures {
    /// The figures of one version from the scores of its rows; what cannot be measured is `null` with a reason.
    ///
    /// - Parameters:
    ///   - sets: What was measured; sets of other names than `forget`, `retain` and `holdout` are extra ones.
    ///   - unit: What accuracies and the labels made of them count.
    ///   - metrics: What was asked for beside what is always there.
    package init(_ sets: [MeasuredSet], accuracy unit: AccuracyUnit, metrics: Set<EvaluationMetric>) {
        self.init(accuracy: unit)
        let measured = Dictionary(sets.map { ($0.name, $0) }) { first, _ in first }
        for set in sets { self.sets[set.name] = set.figures }
        func score(_ name: String) -> SetScore? { measured[name].map { SetScore($0.rows.map(\.score)) } }
        (forgetAccuracy, forgetLoss) = note(score("forget"), "forget")
        (retainAccuracy, retainLoss) = note(score("retain"), "retain")
        (holdoutAccuracy, holdoutLoss) = note(score("holdout"), "holdout")

        if let forgetAccuracy, let retainAccuracy {
            forgetQuality = ForgetQuality(forgetAccuracy: forgetAccuracy, retainAccuracy: retainAccuracy)
        } else {
            reasons["forget_quality"] = reasons["forget_accuracy"] ?? reasons["retain_accuracy"]
        }
        noteMembership(measured["forget"], measured["holdout"])
        noteUtility(sets, metrics)
        noteMissing(sets, metrics)
    }

    /// The same from the rows' own scores alone.
    package init(forget: [RowScore]?, retain: [RowScore]?, holdout: [RowScore]?, accuracy unit: AccuracyUnit)
    {
        let sets = [("forget", forget), ("retain", retain), ("holdout", holdout)].compactMap { name, scores in
            scores.map { scores in
                MeasuredSet(
                    name: name, role: name == "forget" ? .forget : .keep,
                    rows: scores.enumerated().map { RowMeasures(line: $0 + 1, score: $1) })
            }
        }
        self.init(sets, accuracy: unit, metrics: [])
    }

    private mutating func note(_ score: SetScore?, _ name: String) -> (accuracy: Double?, loss: Double?) {
        guard let score, score.tokens > 0 else {
            let reason = score == nil ? "no \(name) set was given" : "the \(name) set has no predicted label"
            reasons["\(name)_accuracy"] = reason
            reasons["\(name)_loss"] = reason
            return (nil, nil)
        }
        tokens[name] = score.tokens
        rows[name] = score.rows.count
        guard score.loss.isFinite else {
            reasons["\(name)_loss"] = "the loss is not a finite number: the model's output overflowed"
            return (score.accuracy(accuracy), nil)
        }
        return (score.accuracy(accuracy), score.loss)
    }

    /// Every attack that needs no other version.
    private mutating func noteMembership(_ forget: MeasuredSet?, _ holdout: MeasuredSet?) {
        if let forget, let holdout {
            for attack in MembershipAttack.allCases {
                guard let members = forget.scores(attack), let others = holdout.scores(attack) else {
                    continue
                }
                note(attack, members, others)
            }
        }
        membershipInferenceAUC = membership[MembershipAttack.loss.rawValue]?.auc
        privacyLeakage = membershipInferenceAUC.map(PrivacyLeakage.init(membershipInferenceAUC:))
        guard membershipInferenceAUC == nil else { return }
        let reason =
            reasons["forget_accuracy"] ?? reasons["holdout_accuracy"] ?? "a row's loss is not a number"
        reasons["membership_inference_auc"] = reason
        reasons["privacy_leakage"] = reason
    }

    private mutating func note(_ attack: MembershipAttack, _ members: [Double], _ others: [Double]) {
        guard let curve = ReceiverOperating(members: members, others: others) else { return }
        membership[attack.rawValue] = MembershipFigures(
            auc: curve.auc, low: curve.interval.lowerBound, high: curve.interval.upperBound,
            truePositiveRate: curve.truePositiveRate, reversedRate: curve.reversedRate)
    }

    /// TOFU's model utility: the harmonic mean of probability, ROUGE-L recall and truth ratio of each set that is kept.
    ///
    /// Sets without wrong answers have no truth ratio and take no part: TOFU measures on `retain_perturbed`,
    /// `real_authors_perturbed` and `world_facts_perturbed`, never on what it trains on.
    private mutating func noteUtility(_ measured: [MeasuredSet], _ metrics: Set<EvaluationMetric>) {
        let kept = measured.filter { $0.role == .keep && $0.name != "holdout" && $0.truthRatios != nil }
        guard !kept.isEmpty else {
            if measured.contains(where: { !["forget", "retain", "holdout"].contains($0.name) }) {
                reasons["model_utility"] =
                    metrics.contains(.truthRatio)
                    ? "no set that is kept has wrong answers (perturbed_answer) to each row"
                    : "truth_ratio was not asked for"
            }
            return
        }
        var parts: [Double] = []
        for set in kept {
            guard let figures = sets[set.name],
                let probability = figures[.normalizedProbability] ?? figures[.probability],
                let truth = figures[.truthRatio]
            else { continue }
            guard let rouge = figures[.rougeL] else {
                reasons["model_utility"] =
                    metrics.contains(.rouge)
                    ? "the \(set.name) set has no text to compare continuations with"
                    : "it needs continuations: --metrics all, or fast,rouge"
                return
            }
            parts += [probability, rouge, truth]
        }
        modelUtility = HarmonicMean.of(parts)
    }

    /// Why figures of the forget set that were asked for are not there.
    private mutating func noteMissing(_ measured: [MeasuredSet], _ metrics: Set<EvaluationMetric>) {
        guard let forget = measured.first(where: { $0.name == "forget" }), let figures = sets["forget"] else {
            return
        }
        func note(_ figure: SetFigure, _ reason: String) {
            if figures[figure] == nil { reasons["forget.\(figure.rawValue)"] = reason }
        }
        if forget.rows.contains(where: { $0.truthRatio != nil }) {
            note(.truthRatio, "it is not a finite number")
        }
        if metrics.contains(.rouge) { note(.rougeL, "the rows have no text to compare continuations with") }
        if metrics.contains(.verbatim) { note(.verbatimRun, "the rows have nothing to continue") }
    }

    // MARK: Against the reference

    /// Adds the figures that compare this version with the reference.
    ///
    /// - Parameters:
    ///   - own: What this version's rows scored.
    ///   - reference: What the reference's scored, on the same files; `nil` without one.
    package mutating func compare(
        _ own: [MeasuredSet], with reference: [MeasuredSet]?, metrics: Set<EvaluationMetric>
    ) {
        guard let reference else { return }
        func set(_ sets: [MeasuredSet], _ name: String) -> MeasuredSet? { sets.first { $0.name == name } }
        guard let forget = set(own, "forget"), let goal = set(reference, "forget") else { return }
        let (basis, ours, theirs): (String, [Double]?, [Double]?)
        if let own = forget.truthRatios, let goal = goal.truthRatios {
            (basis, ours, theirs) = ("truth_ratio", own, goal)
        } else {
            (basis, ours, theirs) = ("loss", forget.scores(.loss), goal.scores(.loss))
        }
        if let ours, let theirs, let test = KolmogorovSmirnov(ours, theirs) {
            ksP = test.pValue
            ksStatistic = test.statistic
            ksBasis = basis
        } else {
            reasons["ks_p"] = "a row's \(basis) is not a number"
        }
        guard let holdout = set(own, "holdout"), let aim = set(reference, "holdout") else { return }
        if metrics.contains(.reference), let members = forget.scores(against: goal),
            let others = holdout.scores(against: aim), members.contains(where: { $0 != 0 })
        {
            note(.reference, members, others)
        }
        if let area = membership[MembershipAttack.minK.rawValue]?.auc, let members = goal.scores(.minK),
            let others = aim.scores(.minK),
            let aimed = MembershipInference.auc(members: members, others: others)
        {
            privleak = PrivacyLeak.value(auc: area, reference: aimed)
            if privleak == nil {
                reasons["privleak"] = "the reference's own area is 0, by which it would be divided"
            }
        }
    }
}
