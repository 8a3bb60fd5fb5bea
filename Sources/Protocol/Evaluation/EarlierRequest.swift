// SPDX-License-Identifier: Apache-2.0

/// What became of an earlier request on the same model: an element of `evaluation.earlier`.
///
/// A request is one that was accepted: the version that its job made is, or was, head. While its lease runs and its
/// forget set is stored, each later job that edits the model measures it again, as the request's own job did.
package struct EarlierRequest: Codable, Hashable, Sendable {
    /// What can be said of it.
    package enum Status: String, Codable, Sendable, CaseIterable {
        case forgotten
        /// The model has it back, or a good part of it.
        case returned
        case notReverifiable = "not re-verifiable"
    }

    /// What one version scored on the request's forget set.
    package struct Figures: Codable, Hashable, Sendable {
        /// In the unit that the request's job counted in.
        package var forgetAccuracy: Double?
        package var forgetLoss: Double?

        package init(_ figures: EvaluationFigures) {
            (forgetAccuracy, forgetLoss) = (figures.forgetAccuracy, figures.forgetLoss)
        }

        enum CodingKeys: String, CodingKey {
            case forgetAccuracy = "forget_accuracy"
            case forgetLoss = "forget_loss"
        }

        package func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(forgetAccuracy.finite, forKey: .forgetAccuracy)
            try container.encode(forgetLoss.finite, forKey: .forgetLoss)
        }
    }

    /// The request's job.
    package var job: JobID
    /// The version that it made.
    package var version: VersionReference
    /// Its note, such as the number of a request.
    package var request: String?
    /// Its forget set.
    package var forget: Digest
    /// Until when it is measured again.
    package var leaseEnds: Timestamp
    /// What the request's own job measured before and after its edit.
    package var original: Figures?
    package var accepted: Figures?
    /// The base of the later job, and its result.
    package var before: Figures?
    package var after: Figures?
    /// Why it is not re-verifiable; `nil` where it is.
    package var reason: String?

    /// A request that is to be measured again, or for `reason` cannot be.
    package init(
        job: JobID, version: VersionReference, request: String?, forget: Digest, leaseEnds: Timestamp,
        report: EvaluationReport?, reason: String? = nil
    ) {
        self.job = job
        self.version = version
        self.request = request
        self.forget = forget
        self.leaseEnds = leaseEnds
        original = report?.before.map(Figures.init)
        accepted = report?.after.map(Figures.init)
        self.reason = reason
    }

    /// A rise above what the request was accepted with by more than this is a return, whatever was known before.
    package static let most = 0.1
    /// A rise by less than this is none.
    package static let least = 0.02

    /// The accuracy from which on the set counts as returned: above what the request was accepted with by half of what
    /// its job took away, but by ``least`` at least and ``most`` at most. Where the request was not measured when it was
    /// accepted, the later job's base stands for that.
    package var limit: Double? {
        guard let start = accepted?.forgetAccuracy ?? before?.forgetAccuracy else { return nil }
        let taken = accepted?.forgetAccuracy.flatMap { now in original?.forgetAccuracy.map { $0 - now } }
        return start + (taken.map { min(Self.most, max(Self.least, $0 / 2)) } ?? Self.most)
    }

    /// Whether the result still does not know it; `nil` where it is not re-verifiable.
    package var forgotten: Bool? {
        guard reason == nil, let limit, let now = after?.forgetAccuracy else { return nil }
        return now <= limit + 1e-12
    }

    /// What can be said of it.
    package var status: Status { forgotten.map { $0 ? .forgotten : .returned } ?? .notReverifiable }

    enum CodingKeys: String, CodingKey {
        case job, version, request, forget, original, accepted, before, after, reason
        case leaseEnds = "lease_ends"
    }

    /// Members that follow from the others.
    private enum Derived: String, CodingKey { case forgotten, status, limit }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(job, forKey: .job)
        try container.encode(version, forKey: .version)
        try container.encode(request, forKey: .request)
        try container.encode(forget, forKey: .forget)
        try container.encode(leaseEnds, forKey: .leaseEnds)
        try container.encode(original, forKey: .original)
        try container.encode(accepted, forKey: .accepted)
        try container.encode(before, forKey: .before)
        try container.encode(after, forKey: .after)
        try container.encode(reason, forKey: .reason)
        var derived = encoder.container(keyedBy: Derived.self)
        try derived.encode(limit.finite, forKey: .limit)
        try derived.encode(forgotten, forKey: .forgotten)
        try derived.encode(status, forKey: .status)
    }
}
