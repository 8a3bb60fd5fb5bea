// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Protocol
import Testing

/// Complete evaluation logs of a full and a retrained Phi-1.5, published with TOFU: truth ratio, forget quality, model
/// utility and ROUGE without a model.
@Suite(.enabled(if: TokenizerTestFiles.sharedIsMissing == nil, "TOFU's evaluation logs are not there"))
struct TofuLogTests {
    /// One of a log's four parts: the columns by name.
    private struct Part {
        let json: JSONValue

        /// A column's values in the order of the rows.
        func column<T>(_ name: String, _ read: (JSONValue) throws -> T) throws -> [T] {
            let object = try #require(json[name]?.objectValue)
            return try (0..<object.count).map { try read(#require(object["\($0)"])) }
        }

        func numbers(_ name: String) throws -> [Double] {
            try column(name) { try #require($0.doubleValue) }
        }

        func truthRatios() throws -> [TruthRatio] {
            let wrong = try column("average_perturb_loss") { value in
                try #require(value.arrayValue).map { try #require($0.doubleValue) }
            }
            return try zip(numbers("avg_paraphrased_loss"), wrong).map { TruthRatio(right: $0, wrong: $1) }
        }

        func probabilities() throws -> [Double] { try numbers("avg_gt_loss").map { exp(-$0) } }

        func normalized() throws -> [Double] {
            let wrong = try column("average_perturb_loss") { value in
                try #require(value.arrayValue).map { try #require($0.doubleValue) }
            }
            return try zip(numbers("avg_gt_loss"), wrong).map {
                NormalizedProbability.value(right: $0, wrong: $1)
            }
        }

        func mean(_ values: [Double]) -> Double { Mean.of(values) ?? .nan }
    }

    private static func log(_ name: String) throws -> JSONValue {
        let file = TokenizerTestFiles.shared.appending(
            path: "data/tofu/eval_logs/phi_\(name)_wd0.01.eval_log_aggregated.json")
        return try StrictJSON.parse(Array(Data(contentsOf: file)), limits: .init(depth: 16))
    }

    private func part(_ name: String, _ part: String) throws -> Part {
        Part(json: try #require(Self.log(name)["\(part).json"]))
    }

    private func near(_ value: Double, _ expected: Double, _ tolerance: Double) -> Bool {
        abs(value - expected) <= tolerance
    }

    @Test(arguments: [
        ("full", 0.9249, 0.9282, 0.4834, 0.522074), ("retain90", 0.4279, 0.1349, 0.6288, 0.531991),
    ])
    func `forget figures and model utility`(
        name: String, rouge: Double, probability: Double, truth: Double, utility: Double
    ) throws {
        let forget = try part(name, "eval_log_forget")
        #expect(try near(forget.mean(forget.numbers("rougeL_recall")), rouge, 5e-5))
        #expect(try near(forget.mean(forget.probabilities()), probability, 5e-5))
        #expect(try near(forget.mean(forget.truthRatios().map(\.closeness)), truth, 5e-5))
        var parts: [Double] = []
        for (file, isNormalized) in [
            ("eval_log", false), ("eval_real_author_wo_options", true), ("eval_real_world_wo_options", true),
        ] {
            let set = try part(name, file)
            parts.append(try set.mean(isNormalized ? set.normalized() : set.probabilities()))
            parts.append(try set.mean(set.numbers("rougeL_recall")))
            parts.append(try set.mean(set.truthRatios().map(\.margin)))
        }
        #expect(try near(#require(HarmonicMean.of(parts)), utility, 5e-7))
        if name == "full" {
            // Probability, ROUGE-L recall and truth ratio of retain, real authors, world facts.
            let stated = [0.9261, 0.9293, 0.4827, 0.3774, 0.4157, 0.4560, 0.4090, 0.7774, 0.4923]
            for (value, expected) in zip(parts, stated) { #expect(near(value, expected, 5e-5)) }
        }
    }

    @Test func `forget quality between both models`() throws {
        let full = try part("full", "eval_log_forget").truthRatios().map(\.value)
        let retrained = try part("retain90", "eval_log_forget").truthRatios().map(\.value)
        let test = try #require(KolmogorovSmirnov(full, retrained))
        #expect(near(test.statistic, 0.3466666667, 1e-10))
        #expect(near(test.pValue, 2.194274e-16, 1e-22))
        // Any monotone function of the ratio gives the same test.
        #expect(
            KolmogorovSmirnov(full.map { Foundation.log($0) }, retrained.map { Foundation.log($0) }) == test)
    }

    @Test(arguments: ["full", "retain90"])
    func `ROUGE of every generated text`(name: String) throws {
        var rows = 0
        for file in [
            "eval_log", "eval_log_forget", "eval_real_author_wo_options", "eval_real_world_wo_options",
        ] {
            let set = try part(name, file)
            let texts = try set.column("generated_text") { value in
                try #require(value.arrayValue).map { try #require($0.stringValue) }
            }
            let longest = try set.numbers("rougeL_recall")
            let single = try set.numbers("rouge1_recall")
            for (index, text) in texts.enumerated() {
                let (words, reference) = (RougeTokens.words(of: text[1]), RougeTokens.words(of: text[2]))
                #expect(near(Rouge.longest(words, reference: reference).recall, longest[index], 1e-12))
                #expect(near(Rouge.unigrams(words, reference: reference).recall, single[index], 1e-12))
                rows += 1
            }
        }
        #expect(rows == 817)
    }
}
