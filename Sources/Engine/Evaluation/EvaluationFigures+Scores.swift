// SPDX-License-Identifier: Apache-2.0

import Protocol

extension EvaluationFigures {
    /// The figures of one version from the scores of its rows; what cannot be measured is `null` with a reason.
    ///
    /// - Parameters:
    ///   - forget: The forget rows' scores; `nil` when no forget set was given. Likewise the others.
    ///   - unit: What accuracies and the labels made of them count.
    package init(forget: [RowScore]?, retain: [RowScore]?, holdout: [RowScore]?, accuracy unit: AccuracyUnit)
    {
        self.init(accuracy: unit)
        let forgetScore = forget.map(SetScore.init)
        let holdoutScore = holdout.map(SetScore.init)
        (forgetAccuracy, forgetLoss) = note(forgetScore, "forget")
        (retainAccuracy, retainLoss) = note(retain.map(SetScore.init), "retain")
        (holdoutAccuracy, holdoutLoss) = note(holdoutScore, "holdout")

        if let forgetAccuracy, let retainAccuracy {
            forgetQuality = ForgetQuality(forgetAccuracy: forgetAccuracy, retainAccuracy: retainAccuracy)
        } else {
            reasons["forget_quality"] = reasons["forget_accuracy"] ?? reasons["retain_accuracy"]
        }
        if let forgetScore, let holdoutScore,
            let auc = MembershipInference.auc(members: forgetScore.rowLosses, others: holdoutScore.rowLosses)
        {
            membershipInferenceAUC = auc
            privacyLeakage = PrivacyLeakage(membershipInferenceAUC: auc)
        } else {
            let reason =
                reasons["forget_accuracy"] ?? reasons["holdout_accuracy"] ?? "a row's loss is not a number"
            reasons["membership_inference_auc"] = reason
            reasons["privacy_leakage"] = reason
        }
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
}
