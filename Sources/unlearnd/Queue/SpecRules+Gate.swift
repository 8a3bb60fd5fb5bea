// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The rules of gates.
extension SpecRules {
    static func checkGate(_ spec: JobSpec) throws(RPCError) {
        guard let text = spec.gate else { return }
        do {
            try Gate.parse(text).check(given: spec.gateData)
        } catch {
            throw fault("gate", error.message, error.hint)
        }
        guard spec.evaluate != false else {
            throw fault(
                "gate", "a gate needs the evaluation that was switched off",
                "leave --no-evaluate or the gate out")
        }
    }
}
