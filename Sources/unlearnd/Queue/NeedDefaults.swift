// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Fills in what a job's need chooses and its submitter did not: from then on it stands in the specification.
enum NeedDefaults {
    /// The specification with the default gate of its need; unchanged where a gate is given, or nothing is measured.
    static func applied(to spec: JobSpec) -> JobSpec {
        guard let need = spec.need, spec.gate == nil, spec.evaluate != false, spec.kind.unlearns else {
            return spec
        }
        var given: Set<GateData> = []
        if spec.forget != nil { given.insert(.forget) }
        if spec.retain != nil { given.insert(.retain) }
        if spec.holdout != nil { given.insert(.holdout) }
        if spec.reference != nil { given.insert(.reference) }
        var spec = spec
        spec.gate = need.gate(given: given)
        return spec
    }
}
