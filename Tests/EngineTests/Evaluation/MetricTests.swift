// SPDX-License-Identifier: Apache-2.0

import CKernels
import Engine
import Foundation
import Protocol
import Testing

/// Metrics on cases small enough to be worked out by hand.
@Suite struct `Metrics by hand` {
    /// Logits that predict the labels 0, 1, 3.
    private static let logits: [[Float]] = [[2, 0, -1, 0.5], [0, 1, 0, -1], [0.3, 0.2, 0.1, 3]]

    @Test func `standardised log-likelihoods of three rows`() throws {
        let expected: [(mean: Double, variance: Double, score: Double)] = [
            (-0.87828118, 0.77186836, 0.61001110), (-1.16440622, 0.39322387, 0.85776388),
            (-0.60027034, 1.02148201, 0.42761535),
        ]
        for level in [CK_LEVEL_SCALAR, CK_LEVEL_AVX2, CK_LEVEL_AVX512] {
            guard let kernels = ck_kernels_at(Int32(level))?.pointee else { continue }
            var scores: [Double] = []
            for (row, (logits, label)) in zip(Self.logits, [0, 1, 3]).enumerated() {
                var copy = logits
                let loss = kernels.cross_entropy(&copy, 4, label, 0).loss
                let moments = kernels.log_moments(logits, 4)
                #expect(abs(Double(moments.mean) - expected[row].mean) < 2e-7)
                #expect(abs(Double(moments.variance) - expected[row].variance) < 2e-7)
                let score = MinK.standardised(
                    logLikelihood: -Double(loss), mean: Double(moments.mean),
                    variance: Double(moments.variance))
                #expect(abs(score - expected[row].score) < 1e-6)
                scores.append(score)
            }
            #expect(abs((MinK.score(scores) ?? 0) + 0.42761535) < 1e-6)
        }
        #expect(abs((MinK.score([-0.34234958, -0.62652338, -0.16808638]) ?? 0) - 0.62652338) < 1e-12)
        #expect(MinK.score([]) == nil)
        // ⌊0.4 · 5⌋ = 2 of five.
        #expect(MinK.score([-1, -2, -3, -4, -5]) == 4.5)
    }

    private static let rows: [([Int], exact: Double, strength: Double)] = [
        ([1, 1, 1], 1, 1), ([0, 1, 1], 2.0 / 3, 2.0 / 3), ([1, 1, 0], 2.0 / 3, 0), ([0, 0, 0, 0], 0, 0),
        ([1, 0, 1, 1], 0.75, 0.5), ([0], 0, 0),
    ]

    @Test(arguments: rows)
    func `exact memorisation and extraction strength`(hits: [Int], exact: Double, strength: Double) {
        #expect(Memorization.exact(hits.map { $0 == 1 }) == exact)
        #expect(Memorization.extractionStrength(hits.map { $0 == 1 }) == strength)
        #expect(Memorization.exact([]) == nil && Memorization.extractionStrength([]) == nil)
    }

    @Test func `truth ratio and its aggregates`() {
        // R = e^(1 − 2): the right answer is e times as probable as the wrong ones' geometric mean.
        let known = TruthRatio(right: 1, wrong: [1.5, 2.5])
        #expect(abs(known.value - exp(-1)) < 1e-15)
        #expect(abs(known.closeness - exp(-1)) < 1e-15)
        #expect(abs(known.margin - (1 - exp(-1))) < 1e-15)
        #expect(abs(known.rightShare - 1 / (1 + exp(-1))) < 1e-15)
        let avoided = TruthRatio(right: 3, wrong: [2])
        #expect(abs(avoided.closeness - exp(-1)) < 1e-15)
        #expect(avoided.margin == 0)
        // A wrecked model, whose probabilities are all below the smallest number.
        let wrecked = TruthRatio(right: 2001, wrong: [2000])
        #expect(abs(wrecked.closeness - exp(-1)) < 1e-12)
        #expect(abs(NormalizedProbability.value(right: 2000, wrong: [2000, 2000, 2000]) - 0.25) < 1e-15)
        #expect(NormalizedProbability.value(right: 0, wrong: [9999]) == 1)
    }

    @Test func `privacy leakage has MUSE's sign`() throws {
        // Forget rows known for sure, reference at chance: fully leaking.
        #expect(PrivacyLeak.value(auc: 1, reference: 0.5) == -100)
        #expect(PrivacyLeak.value(auc: 0.5, reference: 0.5) == 0)
        // Over-unlearned.
        #expect(PrivacyLeak.value(auc: 0, reference: 0.5) == 100)
        #expect(PrivacyLeak.value(auc: 0.4, reference: 1) == nil)
        // News: A_retrain 0.4772 and privleak −99.81 give the published A of 0.0009.
        let leak = try #require(PrivacyLeak.value(auc: 1 - 0.0009, reference: 1 - 0.4772))
        #expect(abs(leak + 99.81) < 0.01)
    }

    @Test func `common runs`() {
        func words(_ text: String) -> [Substring] { text.split(separator: " ") }
        let reference = words("a b c d e f g h i j")
        #expect(CommonRuns.longest(reference, words("x c d e y a b")) == 3)
        #expect(CommonRuns.longest(reference, []) == 0)
        #expect(CommonRuns.longest(reference, reference) == 10)
        // Runs of three: c d e, and f g h i.
        #expect(CommonRuns.share(of: reference, in: words("c d e x f g h i x a b"), atLeast: 3) == 0.7)
        // Overlapping runs count each token once.
        #expect(CommonRuns.share(of: reference, in: words("a b c d x b c d e"), atLeast: 4) == 0.5)
        #expect(CommonRuns.share(of: reference, in: words("a b x c d x e f"), atLeast: 3) == 0)
        // A reference shorter than the run is asked for as a whole.
        #expect(CommonRuns.share(of: words("a b"), in: words("x a b")) == 1)
        #expect(CommonRuns.share(of: words("a b"), in: words("a x b")) == 0)
    }

    @Test func `the interval of scores that all agree is a point`() {
        #expect(Bootstrap.interval(members: [1, 2], others: [3, 4]) == 1...1)
        #expect(Bootstrap.interval(members: [1, 1], others: [1]) == 0.5...0.5)
    }

    private func set(_ name: String, _ rows: [RowMeasures]) -> MeasuredSet {
        MeasuredSet(name: name, role: name == "forget" ? .forget : .keep, rows: rows)
    }

    private func row(
        _ line: Int, _ loss: Double, truth: Double? = nil, rouge: Double? = nil, minK: Double? = nil
    ) -> RowMeasures {
        var row = RowMeasures(line: line, score: RowScore(nll: 2 * loss, tokens: 2, correct: 1))
        row.truthRatio = truth.map { TruthRatio(right: $0, wrong: [0]) }
        row.rougeL = rouge
        row.minK = minK
        return row
    }

    @Test func `model utility needs every part, and one at zero is all`() throws {
        let kept = set("retain", [row(1, 0.1, truth: -1, rouge: 0.9)])
        let more = set("facts", [row(1, 0.7, truth: -0.2, rouge: 0.5)])
        let figures = EvaluationFigures([kept, more], accuracy: .token, metrics: [.truthRatio, .rouge])
        let parts = [exp(-0.1), 0.9, 1 - exp(-1), exp(-0.7), 0.5, 1 - exp(-0.2)]
        #expect(abs(try #require(figures.modelUtility) - 6 / parts.reduce(0) { $0 + 1 / $1 }) < 1e-12)
        let lost = set("facts", [row(1, 0.7, truth: 0.4, rouge: 0.5)])
        #expect(
            EvaluationFigures([kept, lost], accuracy: .token, metrics: [.truthRatio, .rouge]).modelUtility
                == 0)
        let silent = set("facts", [row(1, 0.7, truth: -0.2)])
        let partial = EvaluationFigures([kept, silent], accuracy: .token, metrics: [.truthRatio])
        #expect(partial.modelUtility == nil)
        #expect(partial.reasons["model_utility"]?.contains("continuations") == true)
    }

    @Test func `figures against a reference, and against none`() throws {
        let forget = set("forget", (1...6).map { row($0, 5 + Double($0), minK: 9) })
        let goal = set("forget", (1...6).map { row($0, 2 + Double($0) / 10, minK: Double($0)) })
        let holdout = set("holdout", (1...6).map { row($0, 2.05 + Double($0) / 10, minK: 0.5 + Double($0)) })
        let metrics: Set<EvaluationMetric> = [.minK, .reference]
        var figures = EvaluationFigures([forget, holdout], accuracy: .token, metrics: metrics)
        figures.compare([forget, holdout], with: nil, metrics: metrics)
        #expect(figures.ksP == nil && figures.privleak == nil)
        figures.compare([forget, holdout], with: [goal, holdout], metrics: metrics)
        // No truth ratios: losses are compared, and all of ours lie above: 2/C(12, 6).
        #expect(figures.ksBasis == "loss")
        #expect(figures.ksStatistic == 1)
        #expect(abs(try #require(figures.ksP) - 2.0 / 924) < 1e-15)
        // Forget rows have become harder than any holdout row.
        #expect(figures.membership["min_k"]?.auc == 0)
        #expect(figures.membership["reference"]?.auc == 0)
        #expect(figures.membership["loss"]?.reversedRate == 1)
        #expect(figures.privacyLeakage == .significant)
        #expect(try #require(figures.privleak) > 100)
        var spec = JobSpec(kind: .evaluate)
        spec.forget = Digest(bytes: [UInt8](repeating: 1, count: 32))
        spec.holdout = spec.forget
        let report = EvaluationReport(after: figures)
        let limits = EvaluationLimits.sentences(report, of: spec)
        #expect(limits.first?.hasPrefix("Over-unlearned") == true)
        #expect(limits.contains { $0.contains("ks_p and privleak cannot be claimed") })
        #expect(limits.contains { $0.contains("Without a retain or utility set") })
    }

    @Test func `truth ratios are compared when every row has one`() throws {
        let own = set("forget", (1...4).map { row($0, 9, truth: Double($0)) })
        let goal = set("forget", (1...4).map { row($0, 1, truth: Double($0)) })
        var figures = EvaluationFigures([own], accuracy: .token, metrics: [.truthRatio])
        figures.compare([own], with: [goal], metrics: [.truthRatio])
        #expect(figures.ksBasis == "truth_ratio" && figures.ksP == 1 && figures.ksStatistic == 0)
    }

    @Test func `evidence holds the rows' numbers, and of large sets the first`() {
        let rows = (1...600).map { row($0, Double($0), rouge: $0 == 1 ? 0.5 : nil) }
        let kept = set("retain", rows).evidence(role: "after")
        #expect(kept["lines"]?.arrayValue?.count == 500 && kept["left_out"] == 100)
        #expect(kept["columns"]?["loss"]?.arrayValue?[1].doubleValue == 2)
        #expect(kept["columns"]?["rouge_l"]?.arrayValue?[1] == .null)
        #expect(kept["columns"]?["min_k"] == nil)
        #expect(set("forget", rows).evidence(role: "after")["lines"]?.arrayValue?.count == 600)
    }
}
