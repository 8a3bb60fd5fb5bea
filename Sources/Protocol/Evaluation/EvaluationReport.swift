// SPDX-License-Identifier: Apache-2.0

/// The figures of one job: the base, the result and, where given, the reference.
package struct EvaluationReport: Codable, Hashable, Sendable {
    /// The base version.
    package var before: EvaluationFigures?
    /// The result, read from the very bytes that are committed; for `evaluate` the version measured.
    package var after: EvaluationFigures?
    /// A version trained without the forgotten data.
    package var reference: EvaluationFigures?
    /// What the figures cannot show, and what they show that is easily missed, in plain sentences.
    package var limits: [String] = []
    /// What attacks brought back from the result; absent where none was made.
    package var attacks: AttackReport?

    /// Earlier requests on the model, oldest first, measured again on base and result; absent where there are none.
    package var earlier: [EarlierRequest]?

    /// No figures yet.
    package init(
        before: EvaluationFigures? = nil, after: EvaluationFigures? = nil, reference: EvaluationFigures? = nil
    ) {
        self.before = before
        self.after = after
        self.reference = reference
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(before, forKey: .before)
        try container.encode(after, forKey: .after)
        try container.encode(reference, forKey: .reference)
        try container.encode(limits, forKey: .limits)
        try container.encodeIfPresent(attacks, forKey: .attacks)
        try container.encodeIfPresent(earlier, forKey: .earlier)
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        before = try container.decodeIfPresent(EvaluationFigures.self, forKey: .before)
        after = try container.decodeIfPresent(EvaluationFigures.self, forKey: .after)
        reference = try container.decodeIfPresent(EvaluationFigures.self, forKey: .reference)
        attacks = try container.decodeIfPresent(AttackReport.self, forKey: .attacks)
        earlier = try container.decodeIfPresent([EarlierRequest].self, forKey: .earlier)
        limits = try container.decodeIfPresent([String].self, forKey: .limits) ?? []
    }

    enum CodingKeys: String, CodingKey { case before, after, reference, limits, attacks, earlier }
}
