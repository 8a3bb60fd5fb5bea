// SPDX-License-Identifier: Apache-2.0

/// What an evaluation measures beside accuracy, loss, probability, perplexity, exact memorisation, extraction strength
/// and membership inference by loss, which come from the same pass over the rows and are always there.
package enum EvaluationMetric: String, Codable, Sendable, CaseIterable, Hashable {
    /// Right against wrong answers: truth ratio, normalised probability, forget quality, model utility. For rows with
    /// `perturbed_answer`.
    case truthRatio = "truth_ratio"
    /// New against old answer. For rows with `replacement`.
    case replaced
    /// Membership inference by loss over compressed length.
    case zlib
    /// Membership inference by the least likely 40 % of tokens.
    case minK = "min_k"
    /// The same with each token held against the whole distribution at its place.
    case minKPlus = "min_k_plus"
    /// Membership inference by the loss less that of the reference version.
    case reference
    /// Membership inference by the norm of the loss's gradient: a backward pass for each row.
    case gradientNorm = "gradient_norm"
    /// ROUGE of greedy continuations against the answers.
    case rouge
    /// Runs that greedy continuations share with the answers verbatim.
    case verbatim

    /// Whether it needs texts that the model makes, which is slow.
    package var generates: Bool { self == .rouge || self == .verbatim }

    /// What is measured unless asked otherwise: all that teacher-forced passes give.
    package static let fast: Set<EvaluationMetric> = [
        .truthRatio, .replaced, .zlib, .minK, .minKPlus, .reference,
    ]

    /// Reads `all`, `fast`, or names between commas.
    /// - Throws: A sentence that names what is unknown and what there is.
    package static func parse(_ text: String) throws(MetricListError) -> Set<EvaluationMetric> {
        var metrics: Set<EvaluationMetric> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let name = part.drop { $0 == " " }
            let word = String(name.prefix { $0 != " " })
            switch word {
            case "all": metrics.formUnion(allCases)
            case "fast": metrics.formUnion(fast)
            default:
                guard let metric = EvaluationMetric(rawValue: word) else { throw MetricListError(name: word) }
                metrics.insert(metric)
            }
        }
        return metrics
    }
}

/// A name in a list of metrics that stands for none.
package struct MetricListError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The name as given.
    package let name: String

    package var description: String {
        let names = ["all", "fast"] + EvaluationMetric.allCases.map(\.rawValue)
        let meant = ClosestName.suggest(for: name, among: names).map { "did you mean \($0)? " } ?? ""
        return
            "there is no metric “\(name.prefix(40))”: \(meant)choose among \(names.joined(separator: ", "))"
    }
}
