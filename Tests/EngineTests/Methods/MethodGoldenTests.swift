// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Protocol
import Testing

/// Each method's gradient and a few steps of training, against PyTorch's of the same formula.
struct MethodGoldenTests {
    /// The committed folder and those that PyTorch has just written to `UNLEARN_METHOD_PARITY`.
    static let folders: [URL] = {
        let own = Bundle.module.resourceURL?.appending(path: "Fixtures/methods")
        let path = ProcessInfo.processInfo.environment["UNLEARN_METHOD_PARITY"]
        let made = path.flatMap { try? FileManager.default.contentsOfDirectory(atPath: $0) } ?? []
        return [own].compactMap(\.self) + made.sorted().map { URL(filePath: "\(path ?? "")/\($0)") }
    }()

    @Test(arguments: folders) func `gradients and steps of every method are PyTorch's`(folder: URL) throws {
        let golden = try MethodGolden(folder)
        let cases = try #require(golden.facts["cases"]?.arrayValue)
        for entry in cases {
            let method = try GoldenMethod(entry, golden)
            try gradient(of: method, golden)
            try steps(of: method, golden)
        }
    }

    /// Scored on the base, taken at other weights.
    private func gradient(of method: GoldenMethod, _ golden: MethodGolden) throws {
        let objective = try method.objective()
        try objective.begin(golden.load("base")) { _, _ in }
        let model = try golden.load("weights")
        let before = model.parameters.values(0..<model.parameters.count)
        let gradients = try model.makeBuffer()
        let losses = try objective.accumulate(golden.step(1), model, into: gradients)
        #expect(
            before == model.parameters.values(0..<model.parameters.count), "\(method.name) moved the weights")
        try method.expect(losses, method.facts["values"])
        try golden.expect(gradients, "\(method.name)/gradients", model, tolerance: 1e-4)
    }

    /// Away from the base, as the reference does.
    private func steps(of method: GoldenMethod, _ golden: MethodGolden) throws {
        let objective = try method.objective()
        let model = try golden.load("weights")
        let gradients = try model.makeBuffer()
        let rates = AdamW.Rates(
            learningRate: try #require(golden.facts["learning_rate"]?.doubleValue),
            epsilon: try #require(golden.facts["epsilon"]?.doubleValue))
        let optimizer = try AdamW(count: model.table.count, rates: rates, context: model.context)
        try objective.begin(golden.load("base")) { _, _ in }
        for (index, facts) in try #require(method.facts["steps"]?.arrayValue).enumerated() {
            gradients.clear()
            let step = try golden.step(index + 1)
            let losses = try objective.accumulate(step, model, into: gradients)
            try method.expect(losses, facts)
            optimizer.step(model.parameters, gradients)
            objective.finish(step.position, losses)
        }
        try golden.expect(
            model.parameters, "\(method.name)/trained", model, tolerance: 1e-2, from: "weights")
    }

    @Test func `parts of a batch make the step of a whole one`() throws {
        let golden = try MethodGolden(try #require(Self.folders.first))
        for entry in try #require(golden.facts["cases"]?.arrayValue) {
            let method = try GoldenMethod(entry, golden)
            let model = try golden.load("weights")
            var all: [[Float]] = []
            var losses: [StepLosses] = []
            for parts in [1, 3] {
                let objective = try method.objective()
                try objective.begin(golden.load("base")) { _, _ in }
                let gradients = try model.makeBuffer()
                losses.append(
                    try objective.accumulate(golden.step(1, parts: parts), model, into: gradients))
                all.append(gradients.values(0..<gradients.count))
            }
            let difference = zip(all[0], all[1]).reduce(0) { $0 + pow(Double($1.0 - $1.1), 2) }.squareRoot()
            let scale = all[0].reduce(0) { $0 + pow(Double($1), 2) }.squareRoot()
            #expect(difference < 1e-5 * scale, "\(method.name)")
            #expect(
                abs(losses[0].loss - losses[1].loss) < 1e-5 * max(1, abs(losses[0].loss)), "\(method.name)")
        }
    }

    /// Where a copy of the weights is smaller than what the base says, it is kept instead; both are the same.
    @Test func `the base's outputs and its weights say the same`() throws {
        let golden = try MethodGolden(try #require(Self.folders.first))
        let examples = try golden.examples("retain")
        let few = try DivergenceTerm(examples, golden.configuration)
        let padding = Array(repeating: examples, count: 40).flatMap(\.self)
        let many = try DivergenceTerm(examples + padding, golden.configuration)
        #expect(few.copies == 0 && few.cachedBytes > 0 && many.copies == 1 && many.cachedBytes == 0)
        let model = try golden.load("weights")
        var gradients: [[Float]] = []
        for term in [few, many] {
            try term.begin(golden.load("base")) { _, _ in }
            let buffer = try model.makeBuffer()
            let step = try golden.step(1)
            let batch = try #require(step.retain)
            let loss = try term.accumulate(batch, at: step.position, model, scale: 1, into: buffer)
            #expect(loss.value > 0.01)
            gradients.append(buffer.values(0..<buffer.count))
        }
        #expect(zip(gradients[0], gradients[1]).allSatisfy { abs($0 - $1) < 1e-6 })
    }
}

/// A case of the fixture: a method with its numbers.
struct GoldenMethod {
    let name: String
    let facts: JSONValue
    private let golden: MethodGolden

    init(_ facts: JSONValue, _ golden: MethodGolden) throws {
        self.facts = facts
        self.golden = golden
        name = try #require(facts["name"]?.stringValue)
    }

    private func number(_ key: String) throws -> Double {
        try #require(facts[key]?.doubleValue, "\(name) has no \(key)")
    }

    func objective() throws -> UnlearningObjective {
        let forget = try golden.examples("forget")
        let win = Alternatives(try golden.examples("win").map { [$0] })
        let term: any LossTerm
        switch try #require(facts["method"]?.stringValue) {
        case "ascent": term = LikelihoodTerm(rising: true)
        case "npo": term = NegativePreferenceTerm(beta: try number("beta"), examples: forget)
        case "simnpo":
            term = SimplePreferenceTerm(beta: try number("beta"), margin: try number("margin"))
        case "dpo": term = PreferenceTerm(beta: try number("beta"), lose: forget, win: win)
        case "idk": term = ReplacementTerm(win)
        case "update":
            term = UpdateTerm(
                beta: try number("beta"), old: forget, new: win, weight: try number("replacement"))
        case "undial":
            term = try LogitTerm(.selfDistillation(beta: try number("beta")), forget, golden.configuration)
        case "wga": term = WeightedLikelihoodTerm(known: try number("beta"))
        case "satimp":
            term = WeightedLikelihoodTerm(known: try number("beta1"), unknown: try number("beta2"))
        case "ceu":
            term = try LogitTerm(.complement(skip: Int(try number("skip"))), forget, golden.configuration)
        case "pdu": term = try LogitTerm(.spread, forget, golden.configuration)
        case "rmu":
            let steering = Float(try number("steering"))
            term = try ActivationTerm(
                .vector(golden.vector("control").map { $0 * steering }), layer: golden.layer,
                examples: forget,
                golden.configuration)
        case let other:
            Issue.record("no method \(other)")
            term = LikelihoodTerm()
        }
        let retain: any LossTerm
        switch facts["retain_loss"]?.stringValue {
        case "kl": retain = try DivergenceTerm(golden.examples("retain"), golden.configuration)
        case "activations":
            retain = try ActivationTerm(
                .base, layer: golden.layer, examples: golden.examples("retain"), golden.configuration)
        default: retain = LikelihoodTerm()
        }
        let dual = try facts["dual_rate"].map { _ in
            DualWeight(
                rate: try number("dual_rate"), limit: try number("retain_limit"),
                warmUpEpochs: Int(try number("warmup_epochs")))
        }
        return UnlearningObjective(
            forget: term, retain: retain,
            weights: .coefficients(gamma: try number("forget"), alpha: try number("retain")),
            sharpness: facts["sam"]?.doubleValue, dual: dual)
    }

    /// Compares a step's figures with PyTorch's.
    func expect(_ losses: StepLosses, _ expected: JSONValue?) throws {
        func near(_ value: Double?, _ key: String) throws {
            let value = try #require(value, "\(name): no \(key)")
            let wanted = try #require(expected?[key]?.doubleValue)
            #expect(
                abs(value - wanted) <= 1e-4 * max(0.01, abs(wanted)),
                "\(name) \(key): \(value), not \(wanted)")
        }
        try near(losses.loss, "loss")
        try near(losses.figures["forget_term"], "forget")
        try near(losses.retain, "retain")
    }
}

/// A folder that `Tests/Reference/reference_methods.py` wrote.
struct MethodGolden {
    let configuration: ModelConfiguration
    let facts: JSONValue
    private let tensors: SafetensorsFixture

    init(_ folder: URL) throws {
        configuration = try ModelConfiguration(
            json: Array(Data(contentsOf: folder.appending(path: "config.json"))))
        facts = try StrictJSON.parse(Array(Data(contentsOf: folder.appending(path: "golden.json"))))
        tensors = try SafetensorsFixture(folder.appending(path: "golden.safetensors"))
    }

    /// A model with the weights of `group`.
    func load(_ group: String) throws -> Transformer {
        let model = try Transformer(configuration, context: ComputeContext(threads: 2))
        let names = tensors.entries.keys.filter { $0.hasPrefix(group + "/") }.sorted()
        let bindings = try model.table.bind(
            names.map { (String($0.dropFirst(group.count + 1)), tensors.entries[$0]?.shape ?? []) })
        for binding in bindings {
            let entry = model.table.entries[binding.entry]
            for (index, value) in try tensors.values("\(group)/\(binding.tensor)").enumerated() {
                model.parameters.base[entry.offset + index] = value
            }
        }
        return model
    }

    /// The block that rmu steers.
    var layer: Int { Int(facts["layer"]?.integerValue ?? -1) }

    /// The vector `name`.
    func vector(_ name: String) throws -> [Float] { try tensors.values(name) }

    /// The rows of both batches of a group, one after another.
    func examples(_ group: String) throws -> [Example] {
        try (0..<2).flatMap { try examples(group, $0) }
    }

    private func examples(_ group: String, _ index: Int) throws -> [Example] {
        let batch = try #require(facts["batches"]?[group]?.arrayValue?[index])
        func integers(_ key: String) throws -> [Int32] {
            try #require(batch[key]?.arrayValue).map { Int32(try #require($0.integerValue)) }
        }
        let columns = Int(try #require(batch["columns"]?.integerValue))
        let (tokens, labels) = (try integers("tokens"), try integers("labels"))
        return try integers("lengths").enumerated().map { row, length in
            let range = row * columns..<row * columns + Int(length)
            return Example(ids: Array(tokens[range]), labels: Array(labels[range]), line: row + 1)
        }
    }

    /// The batches of a step, counted from 1, in `parts` parts.
    func step(_ number: Int, parts: Int = 1) throws -> StepBatches {
        let perEpoch = Int(try #require(facts["steps_per_epoch"]?.integerValue))
        let index = (number - 1) % 2
        func batch(_ group: String) throws -> StepBatch {
            let before = index == 0 ? 0 : try examples(group, 0).count
            let all = try examples(group)
            let rows = Array(before..<before + (try examples(group, index).count))
            let size = (rows.count + parts - 1) / parts
            return StepBatch(
                parts: stride(from: 0, to: rows.count, by: size).map { start in
                    let part = Array(rows[start..<min(start + size, rows.count)])
                    return StepBatch.Part(rows: part, batch: TokenBatch(padding: part.map { all[$0] }))
                })
        }
        return StepBatches(
            position: StepPosition(
                number: number, total: 4, epoch: (number - 1) / perEpoch + 1, stepsPerEpoch: perEpoch),
            forget: try batch("forget"), retain: try batch("retain"))
    }

    /// Checks the tensors that `group` has: ‖a − e‖ ≤ tolerance · ‖e − o‖, with o 0 unless given.
    func expect(
        _ actual: FloatStorage, _ group: String, _ model: Transformer, tolerance: Double,
        from origin: String? = nil
    ) throws {
        var compared = 0
        for entry in model.table.entries where tensors.entries["\(group)/\(entry.name)"] != nil {
            let a = actual.values(entry.range)
            let e = try tensors.values("\(group)/\(entry.name)")
            let o = try origin.map { try tensors.values("\($0)/\(entry.name)") } ?? e.map { _ in 0 }
            var (difference, scale) = (0.0, 0.0)
            // The gradient of a constant added to all scores of a query is zero.
            let width = configuration.hiddenSize
            let skipped = entry.name.hasSuffix("c_attn.bias") ? width..<2 * width : 0..<0
            for index in e.indices where !skipped.contains(index) {
                difference += pow(Double(a[index]) - Double(e[index]), 2)
                scale += pow(Double(e[index]) - Double(o[index]), 2)
            }
            #expect(
                difference.squareRoot() <= tolerance * scale.squareRoot() + 1e-8,
                "\(group)/\(entry.name): \(difference.squareRoot()) against \(scale.squareRoot())")
            compared += 1
        }
        #expect(compared > 0)
    }
}
