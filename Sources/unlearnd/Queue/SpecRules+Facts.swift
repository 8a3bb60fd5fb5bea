// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The rules of the two ways of `update`.
extension SpecRules {
    static func checkFacts(_ spec: JobSpec) throws(RPCError) {
        guard spec.kind == .update else { return }
        let parameters = spec.parameters ?? JobParameters()
        let way = parameters.by ?? .gradient
        let names = JobParameters.names(for: way)
        let given = (try? JSONValue(encoding: parameters))?.objectValue
        for member in given?.members ?? [] where !member.value.isNull && !names.contains(member.key) {
            throw fault(
                "parameters.\(member.key)", "update by \(way.rawValue) has no parameter \(member.key)",
                way == .edit
                    ? "leave it out, or train with --by gradient" : "leave it out, or add --by edit")
        }
        guard way == .edit else { return }
        guard spec.retain != nil else {
            throw fault(
                "retain", "update by edit needs rows that tell what the layers read otherwise",
                "give --retain FILE")
        }
        if let steps = parameters.editSteps, !(1...10_000).contains(steps) {
            throw fault(
                "parameters.edit_steps", "edit_steps is \(steps); it lies between 1 and 10000")
        }
        for (name, value) in [
            ("edit_learning_rate", parameters.editLearningRate),
            ("covariance_weight", parameters.covarianceWeight), ("edit_clamp", parameters.editClamp),
        ] {
            guard let value, !(value.isFinite && value > 0) else { continue }
            throw fault("parameters.\(name)", "\(name) is \(value); it must be a positive number")
        }
    }
}
