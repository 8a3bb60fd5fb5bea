// SPDX-License-Identifier: Apache-2.0

extension Gate {
    /// Judges the figures of a result.
    ///
    /// - Parameters:
    ///   - before: The base version's figures; utility needs them.
    ///   - after: The result's figures. A figure that is `null` fails its condition, for the reason it gives.
    ///   - reference: The figures of a version that never saw the forgotten data; `~` needs them.
    ///   - earlier: Earlier requests on the model with what was measured on them again.
    package func judge(
        before: EvaluationFigures?, after: EvaluationFigures, reference: EvaluationFigures? = nil,
        earlier: [EarlierRequest] = []
    ) -> GateVerdict {
        GateVerdict(
            conditions: conditions.map { condition in
                if case .earlier(let rule) = condition { return condition.judge(rule, earlier) }
                return condition.judge(before: before, after: after, reference: reference)
            })
    }
}

extension GateCondition {
    /// The verdict on this condition.
    func judge(
        before: EvaluationFigures?, after: EvaluationFigures, reference: EvaluationFigures?
    ) -> GateConditionVerdict {
        switch self {
        case .forgetQuality(let label): return judgeForgetQuality(label, after)
        case .privacyLeakage(let label): return judgePrivacy(label, after)
        case .earlier(let rule): return judge(rule, [])
        case .atMost(let figure, let bound):
            guard let value = figure.value(in: after, before: before) else {
                return unmeasured(figure, before, after)
            }
            return verdict(
                .number(value), value <= bound,
                by: "\(text(value)) is \(text(value - bound)) above \(text(bound))",
                GateAdvice.lower(figure))
        case .atLeast(let figure, let bound):
            guard let value = figure.value(in: after, before: before) else {
                return unmeasured(figure, before, after)
            }
            return verdict(
                .number(value), value >= bound,
                by: "\(text(value)) is \(text(bound - value)) below \(text(bound))",
                GateAdvice.raise(figure))
        case .near(let figure, let distance):
            guard let value = figure.value(in: after, before: before) else {
                return unmeasured(figure, before, after)
            }
            guard let goal = reference.flatMap({ figure.value(in: $0, before: before) }) else {
                return verdict(
                    .number(value), false, by: "\(name) of the reference was not measured",
                    "Give a reference version that \(name) can be measured on")
            }
            // The tolerance is for decimal fractions that are none in binary: 0.31 is within 0.04 of 0.27.
            let passed = abs(value - goal) <= distance + 1e-12
            let side = value > goal ? "above" : "below"
            return verdict(
                .number(value), passed,
                by: "\(text(value)) is \(text(abs(value - goal))) \(side) the reference's \(text(goal)), "
                    + "\(text(abs(value - goal) - distance)) too far",
                value > goal ? GateAdvice.lower(figure) : GateAdvice.raise(figure))
        }
    }

    /// The verdict on earlier requests: a rule that nothing can be held against is met.
    func judge(_ rule: EarlierRule, _ requests: [EarlierRequest]) -> GateConditionVerdict {
        let returned = requests.filter { $0.status == .returned }
        let unknown = requests.filter { $0.status == .notReverifiable }
        func jobs(_ requests: [EarlierRequest]) -> String {
            "job\(requests.count == 1 ? "" : "s") " + requests.map { "\($0.job)" }.joined(separator: ", ")
        }
        var misses: [String] = []
        var advice: [String] = []
        if !returned.isEmpty {
            misses.append("what \(jobs(returned)) had removed is back")
            advice.append(
                "take the rows of \(jobs(returned)) out of the retain set and into the forget set, or disturb less: a lower "
                    + "learning rate or fewer epochs")
        }
        if rule == .verified, !unknown.isEmpty {
            misses.append("\(jobs(unknown)) cannot be measured again")
            advice.append("ask for earlier=forgotten, which leaves out what is not re-verifiable")
        }
        let measured: EarlierRequest.Status? =
            returned.isEmpty
            ? requests.contains { $0.status == .forgotten }
                ? .forgotten : unknown.isEmpty ? nil : .notReverifiable
            : .returned
        return verdict(
            .string(measured?.rawValue ?? "no earlier request"), misses.isEmpty,
            by: misses.joined(separator: "; "), advice.joined(separator: "; "))
    }

    private func verdict(
        _ measured: JSONValue, _ passed: Bool, by: @autoclosure () -> String,
        _ advice: @autoclosure () -> String
    ) -> GateConditionVerdict {
        GateConditionVerdict(
            name: name, required: required, measured: measured, passed: passed, by: passed ? nil : by(),
            advice: passed ? nil : advice())
    }

    private func unmeasured(
        _ figure: GateFigure, _ before: EvaluationFigures?, _ after: EvaluationFigures
    ) -> GateConditionVerdict {
        let reason =
            after.reasons[figure.reasonKey] ?? before?.reasons[figure.reasonKey] ?? figure.absence
        return unmeasured(reason, of: figure.data)
    }

    private func unmeasured(_ reason: String?, of data: Set<GateData>) -> GateConditionVerdict {
        let sets = data.map(\.rawValue).sorted().joined(separator: " and ")
        return verdict(
            .null, false, by: "\(name) was not measured: \(reason ?? "no reason was recorded")",
            "Give \(sets) data that the model can be evaluated on")
    }

    private func judgeForgetQuality(_ label: ForgetQuality, _ after: EvaluationFigures)
        -> GateConditionVerdict
    {
        guard let measured = after.forgetQuality else {
            return unmeasured(after.reasons["forget_quality"], of: [.forget, .retain])
        }
        let bounds = label == .excellent ? ForgetQuality.excellentBounds : ForgetQuality.goodBounds
        var misses: [String] = []
        var advice: [String] = []
        if let forget = after.forgetAccuracy, forget >= bounds.forget {
            misses.append("forget accuracy \(text(forget)) must be below \(text(bounds.forget))")
            advice.append(GateAdvice.lower(.forget))
        }
        if let retain = after.retainAccuracy, retain <= bounds.retain {
            misses.append("retain accuracy \(text(retain)) must be above \(text(bounds.retain))")
            advice.append(GateAdvice.raise(.retain))
        }
        return verdict(
            .string(measured.rawValue), measured >= label, by: misses.joined(separator: "; "),
            advice.joined(separator: "; "))
    }

    private func judgePrivacy(_ label: PrivacyLeakage, _ after: EvaluationFigures) -> GateConditionVerdict {
        guard let measured = after.privacyLeakage, let auc = after.membershipInferenceAUC else {
            return unmeasured(after.reasons["privacy_leakage"], of: [.forget, .holdout])
        }
        let bound = label == .minimal ? "0.05" : "0.15"
        return verdict(
            .string(measured.rawValue), measured >= label,
            by:
                "the membership inference AUC \(text(auc)) is \(text(abs(auc - 0.5))) from 0.5, which must be less than \(bound)",
            auc > 0.5 ? GateAdvice.lower(.auc) : GateAdvice.raise(.auc))
    }

    /// A number for people: four decimals, without trailing zeros.
    private func text(_ number: Double) -> String {
        guard abs(number) < 1e12 else { return "\(number)" }
        if number != 0, abs(number) < 5e-5 { return "\(number)" }
        return "\((number * 10_000).rounded() / 10_000)"
    }
}
