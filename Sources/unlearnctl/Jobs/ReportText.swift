// SPDX-License-Identifier: Apache-2.0

import Protocol

/// What a report cannot show, in plain words.
enum ReportText {
    /// The limits of a job's report.
    static func limits(_ job: Job) -> [String] {
        guard job.kind.unlearns || job.kind == .evaluate else { return [] }
        var limits: [String] = []
        if job.kind.unlearns {
            limits.append(
                "Approximate unlearning is no guarantee. It makes a model behave as if it had not learned something; it does not prove that nothing is left. Combine it with restricted access to the weights and with a filter on what the model says."
            )
        }
        if job.evaluation?.after == nil {
            limits.append("Nothing was measured: this report cannot say what was forgotten or kept.")
        } else {
            limits.append(
                "The figures hold for the rows given, not for every way to ask about the same facts.")
            if job.spec.forget == nil {
                limits.append("Without a forget set, nothing was measured of what was to be forgotten.")
            }
            if job.spec.retain == nil {
                limits.append("Without a retain set, nothing was measured of what the model was to keep.")
            }
            if job.spec.holdout == nil {
                limits.append("Without a holdout set, leakage by membership inference was not measured.")
            }
            if job.spec.reference == nil {
                limits.append(
                    "Without a reference that never saw the data, nothing tells what accuracy an ignorant model has: forgetting more than that leaks as well, and cannot be told from forgetting enough."
                )
            }
        }
        if job.kind.unlearns {
            if job.gate == nil, job.state == .succeeded {
                limits.append("No gate was set: nothing was required of the result.")
            }
            limits.append(
                "Forgetting was measured on answers. Further training, quantisation or clever prompts may bring knowledge back, unless an attack above says otherwise."
            )
            limits.append(
                "The versions before stay in the store until they are removed; copies elsewhere are not touched."
            )
        }
        return limits
    }
}
