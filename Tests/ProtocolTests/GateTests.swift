// SPDX-License-Identifier: Apache-2.0

import Protocol
import Testing

@Suite struct `Gate grammar` {
    @Test func `every kind of condition is read`() throws {
        let gate = try Gate.parse(
            " forget=good, privacy = minimal ,retain>=0.9,auc<=.6,utility>=9.5e-1,forget~0.05,forget_loss>=3")
        #expect(
            gate.conditions == [
                .forgetQuality(.good), .privacyLeakage(.minimal), .atLeast(.retain, 0.9), .atMost(.auc, 0.6),
                .atLeast(.utility, 0.95), .near(.forget, 0.05), .atLeast(.forgetLoss, 3),
            ])
        #expect(try Gate.parse(gate.description) == gate)
        #expect(
            gate.description
                == "forget=good,privacy=minimal,retain>=0.9,auc<=0.6,utility>=0.95,forget~0.05,forget_loss>=3.0"
        )
    }

    @Test func `a figure may have a label, a lower and an upper bound, and a distance`() throws {
        #expect(try Gate.parse("forget=good,forget>=0.05,forget<=0.3,forget~0.1").conditions.count == 4)
    }

    private static let faults: [(String, String, String)] = [
        ("", "the gate is empty", ""), (" ", "the gate is empty", ""),
        ("forget=good,", "nothing stands between", ""),
        ("forget", "no operator", "forget=good"), ("forgot=good", "no figure “forgot”", "forget=good"),
        ("retian>=0.9", "no figure “retian”", "retain>=0.9"), ("bleu<=3", "no figure “bleu”", ""),
        ("truth_ration>=0.5", "no figure “truth_ration”", "truth_ratio>=0.5"),
        ("ks_p~0.05", "ks_p is itself a comparison", ""), ("privleak>=-101", "privleak is at least -100", ""),
        ("ks_p>=5", "ks_p lies between 0 and 1", "ks_p>=0.05"), ("privleak~-5", "“-5” is not a number", ""),
        ("forget=god", "no label “god”", "forget=good"),
        ("privacy=minimum", "no label “minimum”", "privacy=minimal"),
        ("forget=minimal", "no label “minimal”, only insufficient, good, excellent", ""),
        ("forget=0.3", "= takes a label", "forget<=0.3"),
        ("retain=0.9", "retain has no labels", "retain>=0.9"),
        ("forget<0.3", "no operator “<”", "forget<=0.3"), ("retain=>0.9", "no operator “=>”", "retain>=0.9"),
        ("forget==good", "no operator “==”", "forget=good"),
        ("privacy<=0.1", "privacy takes a label", "privacy=minimal"),
        ("retain>=90", "retain lies between 0 and 1", "retain>=0.9"),
        ("retain>=nan", "“nan” is not a number", ""),
        ("retain>=inf", "“inf” is not a number", ""), ("retain>=-0.1", "“-0.1” is not a number", ""),
        ("retain>=0x1", "“0x1” is not a number", ""), ("retain>=", "“” is not a number", ""),
        ("retain>=1e999", "“1e999” is not a number", ""), ("retain>=0.9 0.8", "is not a number", ""),
        ("retain>=0.9,retain>=0.8", "has both “retain>=0.9” and “retain>=0.8”", ""),
        ("forget=good,forget=excellent", "has both", ""),
        ("auc>=0.6,auc<=0.4", "at least 0.6 and at most 0.4", ""),
    ]

    @Test(arguments: faults)
    func `a fault names the condition and what may be meant`(text: String, message: String, meant: String) {
        do throws(GateError) {
            let gate = try Gate.parse(text)
            Issue.record("accepted as \(gate)")
        } catch {
            #expect(error.message.contains(message), "\(error)")
            if meant.isEmpty {
                #expect(!error.hint.contains("Did you mean"), "\(error)")
            } else {
                #expect(error.hint.hasPrefix("Did you mean “\(meant)”?"), "\(error)")
            }
        }
    }

    @Test func `data that a condition needs must be given`() throws {
        let needs: [(String, Set<GateData>)] = [
            ("forget=good", [.forget, .retain]), ("privacy=minimal", [.forget, .holdout]),
            ("forget<=0.3", [.forget]),
            ("retain>=0.9", [.retain]), ("auc<=0.6", [.forget, .holdout]), ("utility>=0.9", [.retain]),
            ("forget~0.05", [.forget, .reference]), ("holdout_loss<=4", [.holdout]),
            ("retain_loss<=4", [.retain]), ("ks_p>=0.05", [.forget, .reference]),
            ("model_utility~0.05", [.utility, .reference]), ("min_k_auc<=0.6", [.forget, .holdout]),
            ("privleak>=-5.5", [.forget, .holdout, .reference]), ("verbatim_run<=20", [.forget]),
            ("perplexity<=30", [.retain]), ("leak_at_k<=0.1", [.forget, .prompt]),
            ("relearn_gap<=0.1", [.forget, .reference, .relearn]),
            ("quantize_gap<=0.1", [.forget, .quantize]), ("probe_gap<=0.1", [.forget, .probe]),
            ("probability~0.05", [.forget, .reference]), ("rouge_1<=0.4", [.forget]),
            ("zlib_auc~0.05", [.forget, .holdout, .reference]),
            ("reference_auc<=0.6", [.forget, .holdout, .reference]),
            ("tpr_at_1_fpr<=0.05", [.forget, .holdout]),
        ]
        for (text, data) in needs {
            let gate = try Gate.parse(text)
            #expect(gate.requiredData == data)
            try gate.check(given: data)
            for missing in data {
                #expect {
                    try gate.check(given: Set(GateData.allCases).subtracting([missing]))
                } throws: { error in
                    let error = error as? GateError
                    return error?.message.contains(text.prefix(6)) == true
                        && error?.hint.contains(missing.option) == true
                }
            }
        }
        #expect(
            try Gate.parse("forget~0.05,privacy=minimal").requiredData == [.forget, .holdout, .reference])
    }
}

@Suite struct `Gate verdicts` {
    private func figures(
        forget: Double? = nil, retain: Double? = nil, auc: Double? = nil, forgetLoss: Double? = nil
    ) -> EvaluationFigures {
        var figures = EvaluationFigures(accuracy: .token)
        figures.forgetAccuracy = forget
        figures.retainAccuracy = retain
        figures.membershipInferenceAUC = auc
        figures.forgetLoss = forgetLoss
        if let forget, let retain {
            figures.forgetQuality = .init(forgetAccuracy: forget, retainAccuracy: retain)
        }
        figures.privacyLeakage = auc.map(PrivacyLeakage.init(membershipInferenceAUC:))
        return figures
    }

    private func verdict(
        _ gate: String, _ after: EvaluationFigures, before: EvaluationFigures? = nil,
        reference: EvaluationFigures? = nil
    ) throws -> GateVerdict {
        try Gate.parse(gate).judge(before: before, after: after, reference: reference)
    }

    private static let qualities: [(Double, Double, ForgetQuality)] = [
        (0.09, 0.91, .excellent), (0.1, 0.91, .good), (0.09, 0.9, .good), (0.29, 0.81, .good),
        (0.3, 0.81, .insufficient), (0.29, 0.8, .insufficient), (0, 1, .excellent), (0, 0, .insufficient),
        (.nan, 1, .insufficient),
    ]

    @Test(arguments: qualities)
    func `forget quality has strict bounds`(forget: Double, retain: Double, label: ForgetQuality) {
        #expect(ForgetQuality(forgetAccuracy: forget, retainAccuracy: retain) == label)
    }

    private static let leakages: [(Double, PrivacyLeakage)] = [
        (0.5, .minimal), (0.45, .moderate), (0.55, .moderate), (0.4501, .minimal), (0.5499, .minimal),
        (0.35, .significant), (0.65, .significant), (0.3501, .moderate), (0.6499, .moderate),
        (0, .significant),
        (1, .significant), (9.0 / 20, .moderate), (11.0 / 20, .moderate), (7.0 / 20, .significant),
        (13.0 / 20, .significant), (.nan, .significant),
    ]

    @Test(arguments: leakages)
    func `leakage is two-sided and has strict bounds`(auc: Double, label: PrivacyLeakage) {
        #expect(PrivacyLeakage(membershipInferenceAUC: auc) == label)
    }

    @Test func `a label means at least that`() throws {
        let excellent = figures(forget: 0.05, retain: 0.95, auc: 0.5)
        #expect(try verdict("forget=good,forget<=0.05,privacy=moderate", excellent).passed)
        #expect(try verdict("forget=excellent,privacy=minimal,retain>=0.95", excellent).passed)
        let good = figures(forget: 0.2, retain: 0.85, auc: 0.6)
        #expect(try verdict("forget=good,privacy=moderate", good).passed)
        #expect(try !verdict("forget=excellent", good).passed)
        #expect(try !verdict("privacy=minimal", good).passed)
        #expect(
            try verdict("forget=insufficient,privacy=significant", figures(forget: 1, retain: 0, auc: 0))
                .passed)
    }

    @Test func `a refusal says what was measured, by how much, and what to try`() throws {
        let result = try verdict("forget=good,retain>=0.9,forget<=0.3", figures(forget: 0.41, retain: 0.7))
        #expect(!result.passed)
        #expect(result.conditions.map(\.passed) == [false, false, false])
        #expect(result.conditions[0].measured == "insufficient")
        #expect(result.conditions[0].required == "good")
        #expect(
            result.conditions[0].by
                == "forget accuracy 0.41 must be below 0.3; retain accuracy 0.7 must be above 0.8")
        #expect(result.conditions[1].measured == 0.7)
        #expect(result.conditions[1].required == ">=0.9")
        #expect(result.conditions[1].by == "0.7 is 0.2 below 0.9")
        #expect(result.conditions[1].advice?.contains("lower alpha") == true)
        #expect(result.conditions[2].by == "0.41 is 0.11 above 0.3")
    }

    @Test func `advice on leakage depends on the side`() throws {
        let under = try verdict("privacy=minimal", figures(auc: 0.9)).conditions[0]
        #expect(under.advice?.contains("forget more") == true)
        let over = try verdict("privacy=minimal", figures(auc: 0.1)).conditions[0]
        #expect(over.by == "the membership inference AUC 0.1 is 0.4 from 0.5, which must be less than 0.05")
        #expect(over.advice?.contains("--max-forget-loss") == true)
    }

    @Test func `utility is retain accuracy after divided by before`() throws {
        let before = figures(retain: 0.8)
        let passed = try verdict("utility>=0.9", figures(retain: 0.72), before: before).conditions[0]
        #expect(passed.passed)
        #expect(passed.by == nil && passed.advice == nil)
        #expect(try !verdict("utility>=0.9", figures(retain: 0.71), before: before).passed)
        #expect(try !verdict("utility>=0.9", figures(retain: 0.9), before: figures(retain: 0)).passed)
        #expect(try !verdict("utility>=0.9", figures(retain: 0.9)).passed)
    }

    @Test func `figures of sets, attacks and comparisons are judged`() throws {
        var (after, reference) = (figures(retain: 0.7), figures())
        var (forget, goal) = (SetFigures(rows: 10, tokens: 80), SetFigures(rows: 10, tokens: 80))
        (forget[.truthRatio], goal[.truthRatio]) = (0.55, 0.6)
        (forget[.extractionStrength], forget[.verbatimRun], forget[.replaced]) = (0.1, 7, 0.9)
        forget[.rougeL] = .nan
        (after.sets["forget"], reference.sets["forget"]) = (forget, goal)
        after.membership["min_k"] = MembershipFigures(
            auc: 0.52, low: 0.4, high: 0.6, truePositiveRate: 0, reversedRate: 0)
        (after.ksP, after.privleak, reference.privleak, after.modelUtility) = (0.2, -4, 0, 0.57)
        var before = figures(retain: 0.9)
        before.modelUtility = 0.6
        let met = try verdict(
            "ks_p>=0.05,truth_ratio~0.06,extraction_strength<=0.2,verbatim_run<=8,replaced>=0.9,min_k_auc<=0.55,"
                + "privleak>=-5,privleak~5,model_utility>=0.5,utility>=0.95", after, before: before,
            reference: reference)
        #expect(met.passed, "\(met)")
        // Model utility decides about what is left where it is measured: 0.57 / 0.6, not 0.7 / 0.9.
        #expect(met.conditions.last?.measured == 0.95)
        let missed = try verdict(
            "ks_p>=0.3,rouge_l<=0.4,truth_ratio~0.01,perplexity<=9,near_verbatim<=0.1", after,
            reference: reference)
        #expect(missed.conditions.map(\.passed) == [false, false, false, false, false])
        #expect(missed.conditions[0].advice?.contains("reference") == true)
        #expect(missed.conditions[1].by?.contains("no row of the forget set can be continued") == true)
        #expect(
            try Gate.parse("rouge_l<=0.4,verbatim_run<=9,privleak~5").metrics == [.rouge, .verbatim, .minK])
    }

    @Test(arguments: GateFigure.allCases)
    func `every figure that a gate names is found where it was measured`(figure: GateFigure) throws {
        var after = figures(forget: 0.5, retain: 0.5, auc: 0.5, forgetLoss: 0.5)
        (after.retainLoss, after.holdoutLoss) = (0.5, 0.5)
        (after.ksP, after.modelUtility, after.privleak) = (0.5, 0.5, 0.5)
        for set in ["forget", "retain"] {
            after.sets[set] = SetFigures(rows: 1, tokens: 1)
            for name in SetFigure.allCases { after.sets[set]?[name] = 0.5 }
        }
        for attack in MembershipAttack.allCases {
            after.membership[attack.rawValue] = MembershipFigures(
                auc: 0.5, low: 0.5, high: 0.5, truePositiveRate: 0.5, reversedRate: 0.5)
        }
        let report = AttackReport(
            AttackKind.allCases.map {
                AttackOutcome(
                    $0, axis: "step", points: ["0", "1"], measure: "forget_accuracy", start: 0,
                    result: [0, 0.5],
                    figures: ["leak_at_k": 0.5])
            })
        after.attacks = report.figures
        let condition = try verdict("\(figure.rawValue)<=0.6", after, before: after).conditions[0]
        #expect(condition.measured == .number(figure == .utility ? 1 : 0.5), "\(condition)")
        #expect(condition.passed == (figure != .utility))
        // What was not measured fails, for a reason.
        let missing = try verdict("\(figure.rawValue)<=0.6", figures()).conditions[0]
        #expect(!missing.passed && missing.measured == .null && missing.by?.isEmpty == false)
    }

    @Test func `figures of sets survive being written and read`() throws {
        var figures = figures(forget: 0.1)
        figures.sets["forget"] = SetFigures(rows: 3, tokens: 9)
        figures.sets["forget"]?[.rougeL] = 0.25
        figures.sets["forget"]?[.perplexity] = .infinity
        figures.membership["loss"] = MembershipFigures(
            auc: 0.5, low: 0.25, high: 0.75, truePositiveRate: 0.01, reversedRate: 0.02)
        figures.ksP = 1e-300
        let json = try JSONValue(encoding: EvaluationReport(after: figures))
        #expect(json["after"]?["sets"]?["forget"]?["rouge_l"] == 0.25)
        #expect(json["after"]?["sets"]?["forget"]?["perplexity"] == nil)
        #expect(json["after"]?["membership"]?["loss"]?["tpr_at_1_fpr"] == 0.01)
        #expect(json["after"]?["privleak"] == .null && json["limits"] == .array([]))
        #expect(try json.decode(EvaluationReport.self).after == figures)
    }

    @Test func `lists of metrics are read, and a wrong name lists them`() throws {
        #expect(try EvaluationMetric.parse("fast,rouge") == EvaluationMetric.fast.union([.rouge]))
        #expect(try EvaluationMetric.parse("all").count == EvaluationMetric.allCases.count)
        #expect {
            try EvaluationMetric.parse("fast, roug")
        } throws: { error in
            "\(error)".contains("did you mean rouge?") && "\(error)".contains("gradient_norm")
        }
    }

    @Test func `a distance is measured from the reference, on both sides`() throws {
        let reference = figures(forget: 0.27)
        for (forget, passed) in [(0.27, true), (0.31, true), (0.23, true), (0.33, false), (0.2, false)] {
            #expect(
                try verdict("forget~0.05", figures(forget: forget), reference: reference).passed == passed)
        }
        #expect(try verdict("forget~0.05", figures(forget: 0.45), reference: figures(forget: 0.5)).passed)
        let miss = try verdict("forget~0.05", figures(forget: 0.33), reference: reference).conditions[0]
        #expect(miss.by == "0.33 is 0.06 above the reference's 0.27, 0.01 too far")
        #expect(try !verdict("forget~0.05", figures(forget: 0.3)).passed)
    }

    @Test func `what was not measured fails with its reason`() throws {
        var after = figures(forget: 0.1)
        after.reasons["membership_inference_auc"] = "no holdout set was given"
        after.reasons["forget_quality"] = "no retain set was given"
        for (gate, reason) in [
            ("auc<=0.6", "no holdout set"), ("forget=good", "no retain set"), ("forget_loss>=1", "no reason"),
        ] {
            let condition = try verdict(gate, after).conditions[0]
            #expect(!condition.passed)
            #expect(condition.measured == .null)
            #expect(condition.by?.contains(reason) == true)
        }
        #expect(try !verdict("forget_loss>=1", figures(forgetLoss: .nan)).passed)
    }
}
