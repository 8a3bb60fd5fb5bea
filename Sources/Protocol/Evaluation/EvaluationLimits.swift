// SPDX-License-Identifier: Apache-2.0

/// What figures do not show, and what they show that is easily missed, in plain sentences.
package enum EvaluationLimits {
    /// The sentences for a report, in order of weight.
    package static func sentences(_ report: EvaluationReport, of spec: JobSpec) -> [String] {
        guard let after = report.after else {
            return ["Nothing was measured: this report cannot say what was forgotten or kept."]
        }
        var sentences = overUnlearning(after, report.reference)
        sentences.append(
            "The figures hold for the rows given, not for every way to ask about the same facts.")
        if spec.reference == nil {
            sentences.append(
                "Without a reference that never saw the data, nothing tells what accuracy, loss or truth ratio an "
                    + "ignorant model has: ks_p and privleak cannot be claimed.")
        } else if after.ksBasis == "loss" {
            sentences.append(
                "The rows have no wrong answers to compare with: ks_p compares losses, which is not TOFU's forget "
                    + "quality.")
        }
        if spec.holdout == nil {
            sentences.append("Without a holdout set, leakage by membership inference was not measured.")
        } else {
            sentences.append(
                "Membership inference says how far forget rows differ from holdout rows; where the two sets differ in "
                    + "kind, it measures that.")
        }
        if spec.retain == nil, spec.utility?.isEmpty != false {
            sentences.append("Without a retain or utility set, nothing says what else was lost.")
        } else if after.modelUtility == nil {
            sentences.append(
                "Model utility was not measured: what was kept is known by the retain set alone.")
        }
        sentences += earlier(report.earlier ?? [])
        if after.sets["forget"]?[.verbatimRun] == nil {
            sentences.append(
                "No text was generated: what the model would say of itself, verbatim or nearly, was not looked at."
            )
        }
        return sentences
    }

    /// What cannot be said of earlier requests, and what has to be.
    private static func earlier(_ requests: [EarlierRequest]) -> [String] {
        func jobs(_ status: EarlierRequest.Status) -> [String] {
            requests.filter { $0.status == status }.map { "\($0.job)" }
        }
        var sentences: [String] = []
        let (returned, unknown) = (jobs(.returned), jobs(.notReverifiable))
        if !returned.isEmpty {
            sentences.append(
                "Earlier requests are undone: what these jobs had removed is back: \(returned.joined(separator: ", "))."
            )
        }
        if !unknown.isEmpty {
            sentences.append(
                "Earlier requests that are not re-verifiable, because their lease ended or their set was purged: jobs "
                    + "\(unknown.joined(separator: ", ")). Nothing is said about them.")
        }
        return sentences
    }

    /// Rows that are harder than rows never seen are as easy to tell from them as rows that are easier.
    private static func overUnlearning(_ after: EvaluationFigures, _ reference: EvaluationFigures?)
        -> [String]
    {
        var sentences: [String] = []
        let areas = after.membership.filter { $0.value.high < 0.5 && $0.value.auc <= 0.45 }
        if let worst = areas.min(by: { ($0.value.auc, $0.key) < ($1.value.auc, $1.key) }) {
            let goal = reference?.membership[worst.key]?.auc
            // What the reference shows as well is a difference of the sets, not of the model.
            if goal.map({ worst.value.auc < $0 - 0.05 }) ?? true {
                sentences.append(
                    "Over-unlearned: forget rows are harder for the model than rows it never saw (\(worst.key) AUC "
                        + "\(text(worst.value.auc))). That identifies them as surely as knowing them would.")
            }
        }
        if let privleak = after.privleak, privleak > 10 {
            sentences.append(
                "Over-unlearned against the reference: privleak is \(text(privleak)), where 0 is like retrained."
            )
        }
        return sentences
    }

    private static func text(_ number: Double) -> String { "\((number * 1000).rounded() / 1000)" }
}
