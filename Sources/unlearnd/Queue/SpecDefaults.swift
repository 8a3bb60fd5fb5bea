// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Fills in what is chosen for a job that its submitter left open: from then on it stands in the specification, where
/// everybody can read it.
struct SpecDefaults: Sendable {
    /// How long forget sets are measured again, seconds.
    var reviewLease: Double

    /// Where jobs run, the first that fits.
    var placements: [PlacementRule] = []

    /// The specification with its place, its lease, and with the metrics, attacks and gate of its need.
    func applied(to spec: JobSpec) -> JobSpec {
        var spec = spec
        place(&spec)
        guard spec.kind.unlearns else { return spec }
        if spec.forget != nil { spec.reviewLease = spec.reviewLease ?? reviewLease }
        guard let need = spec.need, spec.evaluate != false else { return spec }
        let profile = need.profile
        if spec.parameters?.metrics == nil, spec.measuresSomething {
            let metrics = EvaluationMetric.fast.union(profile.metrics)
            var parameters = spec.parameters ?? JobParameters()
            parameters.metrics = EvaluationMetric.allCases.filter(metrics.contains)
            spec.parameters = parameters
        }
        if spec.attacks == nil, spec.forget != nil { spec.attacks = profile.attacks }
        if spec.gate == nil { spec.gate = need.gate(given: spec.gateData) }
        return spec
    }

    /// Files that come by descriptor stay on this machine.
    private func place(_ spec: inout JobSpec) {
        var parameters = spec.parameters ?? JobParameters()
        guard parameters.launcher == nil, parameters.transfer == nil,
            let rule = placements.first(where: { $0.takes(spec) }),
            rule.launcher != .local || parameters.ranks ?? 1 == 1
        else { return }
        parameters.launcher = rule.launcher
        if rule.launcher == .slurm { parameters.partition = parameters.partition ?? rule.partition }
        spec.parameters = parameters
    }
}
