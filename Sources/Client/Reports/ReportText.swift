// SPDX-License-Identifier: Apache-2.0

import Protocol

/// What a report cannot show, in plain words.
enum ReportText {
    /// The limits of a job's report.
    static func limits(_ job: Job) -> [String] {
        guard job.kind.unlearns || job.kind == .evaluate else { return [] }
        let report = job.evaluation ?? EvaluationReport()
        // Jobs measured by earlier versions have no sentences of their own.
        var limits: [String] = []
        if job.kind.unlearns, job.kind != .exact {
            limits.append(
                "Approximate unlearning is no guarantee. It makes a model behave as if it had not learned something; it does not prove that nothing is left. Combine it with restricted access to the weights and with a filter on what the model says."
            )
        }
        limits += report.limits.isEmpty ? EvaluationLimits.sentences(report, of: job.spec) : report.limits
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
