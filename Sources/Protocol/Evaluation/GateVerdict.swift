// SPDX-License-Identifier: Apache-2.0

/// What a gate said of a result.
package struct GateVerdict: Codable, Hashable, Sendable {
    /// Whether every condition was met.
    package var passed: Bool
    /// The conditions, in the order they were written.
    package var conditions: [GateConditionVerdict]

    /// A verdict from its conditions.
    package init(conditions: [GateConditionVerdict]) {
        self.conditions = conditions
        passed = conditions.allSatisfy(\.passed)
    }
}

/// What a gate said of one condition.
package struct GateConditionVerdict: Codable, Hashable, Sendable {
    /// The figure's name, such as `forget`.
    package var name: String
    /// What was required: a label, or a bound with its operator, such as `<=0.3`.
    package var required: String
    /// What was measured: a label, a number, or null.
    package var measured: JSONValue
    /// Whether the condition was met.
    package var passed: Bool
    /// By how much it was missed, in words; `null` when met.
    package var by: String?
    /// What to try; `null` when met.
    package var advice: String?

    /// A verdict on one condition.
    package init(
        name: String, required: String, measured: JSONValue, passed: Bool, by: String? = nil,
        advice: String? = nil
    ) {
        self.name = name
        self.required = required
        self.measured = measured
        self.passed = passed
        self.by = by
        self.advice = advice
    }

    enum CodingKeys: String, CodingKey { case name, required, measured, passed, by, advice }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(required, forKey: .required)
        try container.encode(measured, forKey: .measured)
        try container.encode(passed, forKey: .passed)
        try container.encode(by, forKey: .by)
        try container.encode(advice, forKey: .advice)
    }
}
