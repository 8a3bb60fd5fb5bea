// SPDX-License-Identifier: Apache-2.0

import CKernels
import Engine
import Foundation
import Protocol
import Testing

/// Metrics against scipy, rouge-score, NLTK, zlib and numpy (`golden_metrics.py`).
@Suite struct `Metrics against reference implementations` {
    private let golden: JSONValue

    init() throws {
        let file = try #require(Bundle.module.resourceURL).appending(path: "Fixtures/metrics.json")
        golden = try StrictJSON.parse(Array(Data(contentsOf: file)), limits: .init(depth: 16))
    }

    private func numbers(_ value: JSONValue?) throws -> [Double] {
        try #require(value?.arrayValue).map { try #require($0.doubleValue) }
    }

    private func relative(_ value: Double?, _ expected: Double) -> Double {
        value.map { abs($0 - expected) / max(abs(expected), 1e-300) } ?? .infinity
    }

    @Test func `Kolmogorov and Smirnov's statistic and exact p`() throws {
        let cases = try #require(golden["ks"]?.arrayValue)
        #expect(cases.count == 14)
        for item in cases {
            let test = try #require(
                KolmogorovSmirnov(try numbers(item["first"]), try numbers(item["second"])))
            #expect(abs(test.statistic - (item["d"]?.doubleValue ?? 0)) < 1e-12)
            // scipy takes small p of unequal samples from products that lose a few digits more than ours.
            #expect(try relative(test.pValue, #require(item["p"]?.doubleValue)) < 1e-9)
        }
    }

    @Test func `disjoint samples have two paths of all`() throws {
        func p(_ n: Int) throws -> Double {
            let low = (0..<n).map(Double.init)
            return try #require(KolmogorovSmirnov(low, low.map { $0 + Double(n) })).pValue
        }
        // 2 / C(2n, n), the p of a wrecked model in the published tables.
        #expect(try relative(p(200), 1.9424e-119) < 1e-3)
        #expect(try relative(p(400), 1.0635896769518563e-239) < 1e-11)
        #expect(try p(2000) == 0)
        #expect(KolmogorovSmirnov([1, .nan], [1]) == nil)
        #expect(KolmogorovSmirnov([], [1]) == nil)
        #expect(KolmogorovSmirnov([3, 3, 1], [1, 3, 3])?.pValue == 1)
    }

    @Test func `stems are NLTK's`() throws {
        let stems = try #require(golden["stems"]?.objectValue)
        #expect(stems.count > 1000)
        for member in stems.members {
            #expect(PorterStemmer.stem(member.key) == member.value.stringValue, "\(member.key)")
        }
    }

    @Test func `ROUGE is rouge-score's`() throws {
        for item in try #require(golden["rouge"]?.arrayValue) {
            let target = try #require(item["target"]?.stringValue)
            let generated = try #require(item["generated"]?.stringValue)
            for (stemmed, name) in [(true, "stemmed"), (false, "plain")] {
                let words = RougeTokens.words(of: generated, stemmed: stemmed)
                let reference = RougeTokens.words(of: target, stemmed: stemmed)
                let ours = [
                    Rouge.unigrams(words, reference: reference), Rouge.longest(words, reference: reference),
                ]
                let theirs = try #require(item[name]?.arrayValue).map { try numbers($0) }
                for (left, right) in zip(ours, theirs) {
                    #expect(abs(left.precision - right[0]) < 1e-12, "\(target) / \(generated)")
                    #expect(abs(left.recall - right[1]) < 1e-12, "\(target) / \(generated)")
                    #expect(abs(left.fMeasure - right[2]) < 1e-12, "\(target) / \(generated)")
                }
            }
        }
    }

    @Test func `compressed lengths are those of Python's zlib`() throws {
        for item in try #require(golden["zlib"]?.arrayValue) {
            let pair = try #require(item.arrayValue)
            let text = try #require(pair[0].stringValue)
            #expect(CompressedLength.of(text).map(Int64.init) == pair[1].integerValue, "\(text.prefix(40))")
        }
    }

    @Test func `the ROC curve's area and ends`() throws {
        let item = try #require(golden["roc"])
        let (members, others) = (try numbers(item["members"]), try numbers(item["others"]))
        let curve = try #require(ReceiverOperating(members: members, others: others))
        #expect(try relative(curve.auc, #require(item["auc"]?.doubleValue)) < 1e-12)
        #expect(try abs(curve.truePositiveRate - #require(item["tpr"]?.doubleValue)) < 1e-12)
        #expect(try abs(curve.reversedRate - #require(item["reversed"]?.doubleValue)) < 1e-12)
        // Hanley and McNeil's standard error, 0.0275 here, times ±1.96.
        #expect(curve.interval.contains(curve.auc))
        #expect(abs(curve.interval.upperBound - curve.interval.lowerBound - 0.108) < 0.012)
        #expect(curve == ReceiverOperating(members: members, others: others))
        #expect(curve.interval != ReceiverOperating(members: members, others: others, seed: 1)?.interval)
        // Over-unlearned rows are found from the other side.
        let reverse = try #require(ReceiverOperating(members: members.map(-), others: others.map(-)))
        #expect(reverse.truePositiveRate == curve.reversedRate)
        #expect(abs(reverse.auc - (1 - curve.auc)) < 1e-12)
    }

    @Test func `Min-K and Min-K++ by every level of kernels`() throws {
        let item = try #require(golden["min_k"])
        let rows = try #require(item["logits"]?.arrayValue).map { try numbers($0).map(Float.init) }
        let labels = try numbers(item["labels"]).map { Int($0) }
        let means = try numbers(item["mean"])
        for level in [CK_LEVEL_SCALAR, CK_LEVEL_AVX2, CK_LEVEL_AVX512] {
            guard let kernels = ck_kernels_at(Int32(level))?.pointee else { continue }
            var (own, standard): ([Double], [Double]) = ([], [])
            for (index, logits) in rows.enumerated() {
                var copy = logits
                let log = -Double(kernels.cross_entropy(&copy, logits.count, labels[index], 0).loss)
                let moments = kernels.log_moments(logits, logits.count)
                #expect(abs(Double(moments.mean) - means[index]) < 1e-5)
                own.append(log)
                standard.append(
                    MinK.standardised(
                        logLikelihood: log, mean: Double(moments.mean), variance: Double(moments.variance)))
            }
            #expect(try relative(MinK.score(own), #require(item["score"]?.doubleValue)) < 1e-5)
            #expect(try relative(MinK.score(standard), #require(item["score_plus"]?.doubleValue)) < 1e-4)
        }
    }

    @Test func `the harmonic mean`() throws {
        for item in try #require(golden["harmonic"]?.arrayValue) {
            let pair = try #require(item.arrayValue)
            #expect(try relative(HarmonicMean.of(numbers(pair[0])), #require(pair[1].doubleValue)) < 1e-12)
        }
        #expect(HarmonicMean.of([0.5, 0, 1]) == 0)
        #expect(HarmonicMean.of([]) == nil)
        #expect(HarmonicMean.of([0.5, -0.1]) == nil)
    }
}
