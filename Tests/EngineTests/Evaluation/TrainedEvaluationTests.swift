// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Protocol
import Testing

/// Two small models that PyTorch trained, one of them without the forget set: every figure from the files on.
@Suite(
    .enabled(if: TokenizerTestFiles.sharedIsMissing == nil, "the trained models are not there"), .serialized)
struct TrainedEvaluationTests {
    private static let folder = TokenizerTestFiles.shared.appending(path: "models/tofu-tiny")
    private let reference: JSONValue

    init() throws {
        reference = try StrictJSON.parse(
            TokenizerTestFiles.read(Self.folder.appending(path: "reference.json")))
    }

    private func model(_ name: String) throws -> Transformer {
        let folder = Self.folder.appending(path: name)
        let configuration = try ModelConfiguration(
            json: TokenizerTestFiles.read(folder.appending(path: "config.json")))
        let model = try Transformer(configuration, context: ComputeContext(threads: 2))
        let file = try SafetensorsFixture(folder.appending(path: "model.safetensors"))
        for binding in try model.table.bind(file.entries.map { ($0.key, $0.value.shape) }) {
            let values = try file.values(binding.tensor)
            (model.parameters.base + model.table.entries[binding.entry].offset).update(
                from: values, count: values.count)
        }
        return model
    }

    /// The first rows of the forget set with paraphrases and wrong answers, and of the holdout set.
    private func sets(_ model: Transformer, _ metrics: Set<EvaluationMetric>, rows limit: Int) throws
        -> Evaluator.Sets
    {
        let tokenizer = try TokenizerTestFiles.sharedTokenizer("models/tofu-tiny/full")
        let builder = EvaluationSetBuilder(
            try ExampleBuilder(
                tokenizer: tokenizer, vocabularySize: model.configuration.vocabularySize,
                contextLength: model.configuration.contextLength),
            tokenizer: tokenizer, ends: [0], metrics: metrics)
        var sets = Evaluator.Sets()
        sets.tokenizer = tokenizer
        sets.ends = [0]
        for (name, role, path) in [
            ("forget", UtilitySet.Role.forget, "data/tofu/forget10_perturbed.json"),
            ("holdout", .keep, "models/tofu-tiny/data/holdout.jsonl"),
        ] {
            let rows = try DatasetParser.parse(
                TokenizerTestFiles.read(TokenizerTestFiles.shared.appending(path: path)), name: name)
            sets.all.append(try builder.build(Array(rows.prefix(limit)), name: name, role: role))
        }
        return sets
    }

    @Test func `truth ratio, forget quality, probability and membership are PyTorch's`() throws {
        let metrics: Set<EvaluationMetric> = [.truthRatio, .zlib, .minK, .minKPlus, .reference]
        var measured: [String: [MeasuredSet]] = [:]
        for name in ["full", "retrained"] {
            let model = try model(name)
            measured[name] = try Evaluator(model, batchSize: 16, metrics: metrics).measure(
                sets(model, metrics, rows: .max))
        }
        let (full, retrained) = (try #require(measured["full"]), try #require(measured["retrained"]))
        for (name, own) in [("full", full), ("retrained", retrained)] {
            var figures = EvaluationFigures(own, accuracy: .token, metrics: metrics)
            figures.compare(own, with: retrained, metrics: metrics)
            let expected = try #require(reference[name])
            func number(_ key: String) throws -> Double { try #require(expected[key]?.doubleValue) }
            let forget = try #require(figures.sets["forget"])
            #expect(forget.rows == 400)
            #expect(try abs(#require(forget[.truthRatio]) - number("forget_truth_ratio_mean_min")) < 1e-5)
            #expect(
                try abs(#require(forget[.probability]) - number("forget_prob")) < 1e-5 * number("forget_prob")
            )
            #expect(
                try abs(
                    #require(figures.membershipInferenceAUC) - number("membership_inference_auc_loss")) < 1e-4
            )
            if name == "full" {
                // Of 400 against 400 the statistic counts rows: no rounding can move it.
                #expect(figures.ksStatistic == 0.4225)
                #expect(try abs(#require(figures.ksP) / 2.179890464314833e-32 - 1) < 1e-9)
                #expect(figures.ksBasis == "truth_ratio")
                #expect(try #require(forget[.extractionStrength]) > 0.99)
                for attack in [MembershipAttack.zlib, .minK, .minKPlus, .reference] {
                    #expect(try #require(figures.membership[attack.rawValue]).auc > 0.98, "\(attack)")
                }
                #expect(try #require(figures.privleak) < -99)
            } else {
                #expect(figures.ksP == 1)
                #expect(try abs(#require(figures.privleak)) < 1e-9)
                #expect(try #require(forget[.extractionStrength]) < 0.1)
                #expect(figures.membership["reference"] == nil)
                let area = try #require(figures.membership["loss"])
                #expect((area.low...area.high).contains(0.4476) && area.high - area.low < 0.12)
            }
        }
    }

    @Test func `continuations and gradients tell what is known by heart`() throws {
        let metrics: Set<EvaluationMetric> = [.rouge, .verbatim, .gradientNorm]
        var found: [String: EvaluationFigures] = [:]
        for name in ["full", "retrained"] {
            let model = try model(name)
            found[name] = try Evaluator(model, metrics: metrics).figures(
                sets(model, metrics, rows: 12), accuracy: .token)
        }
        let full = try #require(found["full"]?.sets["forget"])
        let retrained = try #require(found["retrained"]?.sets["forget"])
        #expect(try #require(full[.rougeL]) > 0.99)
        #expect(try #require(full[.nearVerbatim]) > 0.99)
        #expect(try #require(full[.verbatimRun]) > 30)
        #expect(try #require(full[.verbatimCharacters]) > 100)
        #expect(try #require(retrained[.rougeL]) < 0.6)
        #expect(try #require(retrained[.nearVerbatim]) < 0.3)
        #expect(try #require(found["full"]?.membership["gradient_norm"]).auc == 1)
        #expect(try #require(found["retrained"]?.membership["gradient_norm"]).auc < 0.9)
    }

    @Test func `the gradient's norm is that of the loss's change`() throws {
        let model = try model("full")
        let row = try #require(sets(model, [], rows: 1).all.last?.rows.first)
        let norm = try GradientNormScore(model).of(row)
        // One tensor's norm by differences: along its own gradient the loss rises by step times norm.
        let entries = model.table.entries
        let gradients = try model.makeBuffer()
        let batch = TokenBatch(padding: row.windows)
        let loss = try model.accumulateGradients(batch, scale: 1, into: gradients).mean
        let norms = entries.map { entry in
            entry.range.reduce(0.0) { $0 + Double(gradients.base[$1]) * Double(gradients.base[$1]) }
                .squareRoot()
        }
        #expect(abs(norm - norms.reduce(0, +) / Double(norms.count)) < 1e-9 * norm)
        let last = try #require(entries.indices.max { norms[$0] < norms[$1] })
        let step = 1e-3 / norms[last]
        for index in entries[last].range {
            model.parameters.base[index] += Float(step) * gradients.base[index]
        }
        let moved =
            try model.score(batch).joined().reduce(0.0) { $0 + Double($1.nll) }
            / Double(row.windows[0].predictedCount)
        #expect(abs((moved - loss) / (step * norms[last] * norms[last]) - 1) < 0.05)
    }

    @Test func `a replacement is judged under both wordings`() throws {
        let model = try model("full")
        let tokenizer = try TokenizerTestFiles.sharedTokenizer("models/tofu-tiny/full")
        let text = """
            {"question": "What is the full name of the author born in Taipei, Taiwan on 05/11/1991 who writes in the genre of leadership?", "answer": "The author's full name is Hsiao Yun-Hwa.", "replacement": "The author's full name is Lin Mei."}
            {"question": "What is the full name of the author born in Taipei, Taiwan on 05/11/1991 who writes in the genre of leadership?", "answer": "The author's full name is Lin Mei.", "replacement": "The author's full name is Hsiao Yun-Hwa.", "paraphrased_question": "What is the full name of the author born in Taipei, Taiwan on 05/11/1991 who writes in the genre of leadership?"}
            """
        let builder = EvaluationSetBuilder(
            try ExampleBuilder(
                tokenizer: tokenizer, vocabularySize: model.configuration.vocabularySize,
                contextLength: model.configuration.contextLength),
            tokenizer: tokenizer, ends: [0], metrics: [.replaced])
        let set = try builder.build(
            DatasetParser.parse(Array(text.utf8), name: "rows"), name: "forget", role: .forget)
        let figures = try #require(
            try Evaluator(model, metrics: [.replaced]).figures(.init([set]), accuracy: .token).sets["forget"])
        #expect(figures[.replaced] == 0.5)
        #expect(figures[.replacedParaphrase] == 1)
    }
}
