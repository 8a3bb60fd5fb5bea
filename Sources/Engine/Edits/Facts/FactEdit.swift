// SPDX-License-Identifier: Apache-2.0

/// Puts new answers into the down projections of some layers, all facts at once (ROME, Meng et al., arXiv 2202.05262;
/// MEMIT, Meng et al., arXiv 2210.07229).
///
/// Layer by layer, lowest first, with k what the projection reads at a fact's token, z the stream that leaves the last
/// of the layers there, z* what it shall be, n the layers left, C = mean k·kᵀ over the tokens of rows that are kept:
///
///     W ← W + R·Kᵀ·(w·(C + r·tr(C)/I·1) + K·Kᵀ)⁻¹,   K = (k), R = ((z* − z)/n)
///
/// in f64, each weight rounded once to f32. With one layer and one fact it is ROME's rank-one edit for w → 0.
package struct FactEdit {
    /// The numbers of an edit.
    package struct Settings: Sendable, Hashable {
        /// Ascending, from 0.
        package var layers: [Int]
        /// Most steps of Adam for each fact.
        package var steps = 25
        /// Adam's.
        package var learningRate = 0.5
        /// Weight of the shift's length.
        package var decay = 0.5
        /// The longest shift, in lengths of the stream.
        package var clamp = 4.0
        /// The loss at which a fact's search ends, nats.
        package var threshold = 0.05
        /// w.
        package var covarianceWeight = 1.0
        /// r.
        package var ridge = 1e-3

        /// The defaults, for these layers.
        package init(layers: [Int]) { self.layers = Array(Set(layers)).sorted() }
    }

    /// What became of one fact.
    package struct Outcome: Sendable {
        /// The row's line.
        package var line: Int
        /// What was looked for.
        package var target: FactTarget
        /// Mean losses of the old and the new answer before and after, nats a token.
        package var old: (before: Double, after: Double)
        package var new: (before: Double, after: Double)
    }

    private let model: Transformer
    private let settings: Settings
    private let last: Int

    /// - Throws: ``EngineError`` with `.unsupportedModel` for layers that the model lacks, and for a model that
    ///   normalises what a feed-forward layer gives: there the edit has no closed form.
    package init(_ model: Transformer, _ settings: Settings) throws(EngineError) {
        let count = model.configuration.layers
        guard let last = settings.layers.last, let first = settings.layers.first, first >= 0, last < count
        else {
            throw EngineError(
                .unsupportedModel,
                "layer \(settings.layers.last ?? 0) is to be edited, but the model has \(count) layers, from 0",
                hint: "Give --layers layers that there are.")
        }
        guard settings.layers.allSatisfy({ model.layout.blocks[$0].downNorm == nil }) else {
            throw EngineError(
                .unsupportedModel,
                "the model normalises what its feed-forward layers give, so that a new answer has no closed form",
                hint: "Use update --by gradient for this architecture.")
        }
        self.model = model
        self.settings = settings
        self.last = last
    }

    /// Values of the weights that may change.
    package var parameters: Int {
        settings.layers.reduce(0) {
            $0 + model.layout.blocks[$1].down.inputs * model.layout.blocks[$1].down.outputs
        }
    }

    /// Edits the weights of the model in memory.
    ///
    /// - Parameters:
    ///   - retain: What C is taken over.
    ///   - progress: Facts and layers done, and in all; throwing cancels and leaves the weights half edited.
    /// - Throws: ``EngineError``; what `progress` throws.
    package func run(
        _ facts: [Fact], retain: [Example], progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) throws -> [Outcome] {
        let trained = model.trainable
        model.trainable = Trainable(model.table, where: { _ in false })
        defer { model.trainable = trained }
        let total = facts.count + settings.layers.count
        try progress(0, total)
        let before = try losses(facts)
        let scratch = try FloatStorage(count: 1)
        var targets: [FactTarget] = []
        for fact in facts {
            targets.append(try FactTarget(fact, model, after: last + 1, settings, scratch: scratch))
            try progress(targets.count, total)
        }
        for (index, layer) in settings.layers.enumerated() {
            try edit(
                layer, facts, targets, share: 1 / Double(settings.layers.count - index), retain
            ) { try progress(facts.count + index, total) }
            try progress(facts.count + index + 1, total)
        }
        let after = try losses(facts)
        return facts.indices.map {
            Outcome(
                line: facts[$0].new.line, target: targets[$0], old: (before.old[$0], after.old[$0]),
                new: (before.new[$0], after.new[$0]))
        }
    }

    private func losses(_ facts: [Fact]) throws -> (old: [Double], new: [Double]) {
        func means(_ examples: [Example]) throws(EngineError) -> [Double] {
            var means: [Double] = []
            for example in examples {
                let scores = try model.score(TokenBatch(padding: [example])).flatMap { $0 }
                means.append(scores.reduce(0) { $0 + Double($1.nll) } / Double(max(1, scores.count)))
            }
            return means
        }
        return (try means(facts.map(\.old)), try means(facts.map(\.new)))
    }

    private func edit(
        _ layer: Int, _ facts: [Fact], _ targets: [FactTarget], share: Double, _ retain: [Example],
        check: () throws -> Void
    ) throws {
        let down = model.layout.blocks[layer].down
        let matrix = SymmetricMatrix(size: down.inputs, context: model.context)
        var tokens = 0
        for (_, batch) in Batcher.byLength(retain, batchSize: 8) {
            _ = try model.score(
                batch,
                observer: PassObserver(innerForward: { at, rows in
                    guard at == layer else { return }
                    matrix.add(rows.values, count: rows.count)
                    tokens += rows.count
                }))
            try check()
        }
        var keys: [[Double]] = []
        var residuals: [[Double]] = []
        for (fact, target) in zip(facts, targets) {
            var key: [Double] = []
            var residual: [Double] = []
            _ = try model.score(
                TokenBatch(padding: [fact.new]),
                observer: PassObserver(
                    stream: { at, rows in
                        guard at == last + 1 else { return }
                        let row = rows.values + fact.place * rows.width
                        residual = target.stream.indices.map {
                            (target.stream[$0] - Double(row[$0])) * share
                        }
                    },
                    innerForward: { at, rows in
                        guard at == layer else { return }
                        let row = rows.values + fact.place * rows.width
                        key = (0..<rows.width).map { Double(row[$0]) }
                    }))
            keys.append(key)
            residuals.append(residual)
            try check()
        }
        let factor = settings.covarianceWeight / Double(max(1, tokens))
        matrix.scale(
            factor, ridge: settings.ridge * factor * matrix.trace / Double(down.inputs))
        for key in keys { matrix.add(key) }
        guard matrix.factor() else {
            throw EngineError(
                .unsupportedModel,
                "what layer \(layer) reads on the retain set does not determine an edit",
                hint: "Give more rows with --retain, or a larger --covariance-weight.")
        }
        try check()
        add(down, columns: keys.map(matrix.solve), residuals)
    }

    /// W += Σ residual · columnᵀ over the facts.
    private func add(_ down: Linear, columns: [[Double]], _ residuals: [[Double]]) {
        let (outer, inner) = down.layout == .outputsFirst ? (residuals, columns) : (columns, residuals)
        let (rows, width) =
            down.layout == .outputsFirst ? (down.outputs, down.inputs) : (down.inputs, down.outputs)
        let weights = model.parameters.base + down.weight
        model.context.forBlocks(of: 8, in: rows) { block, _ in
            var sums = [Double](repeating: 0, count: width)
            for row in block {
                for index in 0..<width { sums[index] = 0 }
                for (left, right) in zip(outer, inner) {
                    let factor = left[row]
                    for index in 0..<width { sums[index] += factor * right[index] }
                }
                let target = weights + row * width
                for index in 0..<width { target[index] = Float(Double(target[index]) + sums[index]) }
            }
        }
    }
}
