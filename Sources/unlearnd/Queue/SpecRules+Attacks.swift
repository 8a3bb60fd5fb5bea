// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The rules of attacks and their parameters.
extension SpecRules {
    static func checkAttacks(_ spec: JobSpec) throws(RPCError) {
        let attacks = spec.attacks ?? []
        if spec.kind == .attack, attacks.isEmpty {
            throw fault(
                "attacks", "attack is told no attack",
                "name some of \(AttackKind.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        guard Set(attacks).count == attacks.count else { throw fault("attacks", "an attack is named twice") }
        if !attacks.isEmpty {
            guard spec.kind == .attack || spec.kind.unlearns else {
                throw fault(
                    "attacks", "\(spec.kind.rawValue) is not attacked", "use: unlearnctl submit attack")
            }
            guard spec.forget != nil else {
                throw fault(
                    "forget", "an attack needs the rows that were forgotten", "give --forget FILE")
            }
            guard spec.evaluate != false else {
                throw fault(
                    "attacks", "attacks are part of the evaluation that was switched off",
                    "leave --no-evaluate or --attack out")
            }
        }
        let parameters = spec.parameters ?? JobParameters()
        if parameters.relearnOn == .retain, spec.retain == nil {
            throw fault("retain", "relearning on benign text needs that text", "give --retain FILE")
        }
        func range(_ name: String, _ value: Int?, _ range: ClosedRange<Int>) throws(RPCError) {
            guard let value, !range.contains(value) else { return }
            throw fault(
                "parameters.\(name)",
                "\(name) is \(value); it lies between \(range.lowerBound) and \(range.upperBound)")
        }
        func check(_ name: String, _ value: Double?, _ rule: String, _ holds: (Double) -> Bool)
            throws(RPCError)
        {
            guard let value, !(value.isFinite && holds(value)) else { return }
            throw fault("parameters.\(name)", "\(name) is \(value); it must be \(rule)")
        }
        try range("attack_rows", parameters.attackRows, 1...(1 << 30))
        try range("relearn_rows", parameters.relearnRows, 1...(1 << 30))
        try range("relearn_steps", parameters.relearnSteps, 1...1_000_000)
        try range("samples", parameters.samples, 0...1024)
        try range("soft_tokens", parameters.softTokens, 1...1024)
        try range("soft_steps", parameters.softSteps, 1...1_000_000)
        try range("suffix_tokens", parameters.suffixTokens, 1...1024)
        try range("suffix_steps", parameters.suffixSteps, 1...1_000_000)
        try range("suffix_candidates", parameters.suffixCandidates, 1...65_536)
        try check("relearn_rate", parameters.relearnRate, "a positive number") { $0 > 0 }
        try check("attack_temperature", parameters.attackTemperature, "a positive number") { $0 > 0 }
        try check("leak_threshold", parameters.leakThreshold, "above 0 and at most 1") { $0 > 0 && $0 <= 1 }
        for (name, count) in [
            ("quantize", parameters.quantize?.count), ("attack_prompts", parameters.attackPrompts?.count),
        ] where count == 0 {
            throw fault("parameters.\(name)", "\(name) is an empty list", "leave it out for all")
        }
    }
}
