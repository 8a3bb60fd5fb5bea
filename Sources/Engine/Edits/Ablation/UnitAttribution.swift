// SPDX-License-Identifier: Apache-2.0

import Protocol

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Finds out which neurons and attention heads carry what a model says to a set of rows.
///
/// Attributed is the sum over the labelled tokens of the label's log-odds o_t = ln p_t/(1 − p_t), teacher-forced: the
/// label's logit less the logarithm of the summed exponentials of all others. Not the probability, whose gradient dies
/// where a row is known by heart (p_t → 1), which is what there is to forget. 1 − p_t counts as 1e-4 at least: f32 tells
/// less apart.
/// With `gradient` a unit's attribution is Σ a · ∂(Σ o_t)/∂a over the positions and, for a head, over its values: the
/// first-order change of the sum when the unit becomes 0 (Michel et al., arXiv 1905.10650, without the absolute value).
/// With `integrated` the gradient is the mean over the points s = 0, 1/(m−1), …, 1 of a path on which all units of one
/// layer and kind are scaled by s, the rest of the network following (Dai et al., arXiv 2104.08696, as
/// EleutherAI/knowledge-neurons computes it, both ends included). There one prompt's last position is looked at and a
/// target of several tokens is put together from single ones; here all positions of a row count at once.
package struct UnitAttribution {
    private let model: Transformer
    private let kinds: Set<AblationUnit.Kind>
    private let method: AttributionMethod
    private let steps: Int
    private let batchSize: Int
    private let ranks: Ranks

    /// - Parameters:
    ///   - steps: Points of the path (`integrated`), at least 2.
    ///   - batchSize: Rows that are in memory together; the result depends on it in the last bits alone.
    ///   - ranks: Who attributes the same rows together, batch by batch; any number of them finds the same bits.
    package init(
        _ model: Transformer, kinds: Set<AblationUnit.Kind>, method: AttributionMethod, steps: Int = 20,
        batchSize: Int = 8, ranks: Ranks = .alone
    ) {
        self.model = model
        self.kinds = kinds
        self.method = method
        self.steps = max(2, steps)
        self.batchSize = batchSize
        self.ranks = ranks
    }

    /// Passes through the network that each batch takes.
    package var passes: Int {
        method == .gradient ? 1 : kinds.count * model.configuration.layers * steps
    }

    /// The attributions of every unit, by one backward pass for each batch and point.
    ///
    /// - Parameter progress: Called with batches done and in all, passes counted; throwing cancels.
    /// - Throws: ``EngineError``; what `progress` throws.
    package func scores(
        _ examples: [Example], progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) throws -> UnitScores {
        let gradients = try model.makeBuffer()
        let batches = Batcher.byLength(examples, batchSize: batchSize)
        let total = batches.count * passes
        var done = 0
        try progress(0, total)
        func pass(_ batch: TokenBatch, _ observer: PassObserver) throws -> Int {
            // Σ o_t has the gradient −1/(1 − p_t) · ∂NLL_t.
            let scores = try model.accumulateWeightedGradients(
                batch, into: gradients, observer: observer, .each { 1 / min(expm1f(-$0), -1e-4) })
            done += 1
            try progress(done, total)
            return scores.reduce(0) { $0 + $1.count }
        }
        // Each batch has sums of its own, which are added in the order of the batches, whoever made them.
        let sums = Sums(model.configuration, kinds: kinds)
        for first in stride(from: 0, to: batches.count, by: ranks.count) {
            let own = first + ranks.rank
            let part =
                own < batches.count ? try self.sums { try pass(batches[own].batch, $0) } : nil
            for numbers in try ranks.gather(values: part?.numbers ?? []) where !numbers.isEmpty {
                sums.add(numbers)
            }
            let reached = min(batches.count, first + ranks.count) * passes
            if done < reached {
                done = reached
                try progress(done, total)
            }
        }
        return sums.scores
    }

    /// What one batch adds up to.
    private func sums(_ pass: (PassObserver) throws -> Int) throws -> Sums {
        let sums = Sums(model.configuration, kinds: kinds)
        switch method {
        case .gradient:
            var observer = PassObserver()
            if kinds.contains(.neuron) {
                observer.inner = { sums.add(.neuron, $0, $1, gradient: $2) }
            }
            if kinds.contains(.head) { observer.heads = { sums.add(.head, $0, $1, gradient: $2) } }
            sums.tokens += try pass(observer)
        case .integrated:
            var tokens = 0
            for kind in kinds.sorted() {
                for layer in 0..<model.configuration.layers {
                    tokens = try integrate(kind, layer, sums, pass)
                }
            }
            sums.tokens += tokens
        }
        return sums
    }

    /// Goes through the path of one layer; the last point is the network as it is.
    private func integrate(
        _ kind: AblationUnit.Kind, _ layer: Int, _ sums: Sums, _ pass: (PassObserver) throws -> Int
    ) throws -> Int {
        var tokens = 0
        var path: [Float] = []
        for step in 0..<steps {
            let scale = Float(Double(step) / Double(steps - 1))
            let isLast = step == steps - 1
            let scaled: (Int, PassObserver.Rows) -> Void = { at, rows in
                guard at == layer, !isLast else { return }
                for index in rows.buffer.indices { rows.buffer[index] *= scale }
            }
            let seen: (Int, PassObserver.Rows, PassObserver.Rows) -> Void = { at, values, gradient in
                guard at == layer else { return }
                if path.isEmpty { path = [Float](repeating: 0, count: gradient.buffer.count) }
                for index in path.indices { path[index] += gradient.buffer[index] }
                guard isLast else { return }
                for index in path.indices { gradient.buffer[index] = path[index] / Float(steps) }
                sums.add(kind, layer, values, gradient: gradient)
            }
            var observer = PassObserver()
            if kind == .neuron {
                observer.innerForward = scaled
                observer.inner = seen
            } else {
                observer.headsForward = scaled
                observer.heads = seen
            }
            tokens = try pass(observer)
        }
        return tokens
    }

    /// What has come together so far.
    private final class Sums {
        private let configuration: ModelConfiguration
        private var sums: UnitScores
        /// Labelled tokens.
        var tokens = 0
        /// All tokens, by kind and layer alike.
        private var positions: [AblationUnit.Kind: [Int]] = [:]

        init(_ configuration: ModelConfiguration, kinds: Set<AblationUnit.Kind>) {
            self.configuration = configuration
            sums = UnitScores(configuration, kinds: kinds)
            for kind in kinds { positions[kind] = [Int](repeating: 0, count: configuration.layers) }
        }

        /// Adds one layer's rows.
        func add(
            _ kind: AblationUnit.Kind, _ layer: Int, _ values: PassObserver.Rows, gradient: PassObserver.Rows
        ) {
            let units = configuration.units(kind)
            let width = configuration.unitWidth(kind)
            var row = [Double](repeating: 0, count: values.width)
            var mean = [Double](repeating: 0, count: values.width)
            for run in values.sequences {
                for index in row.indices { row[index] = 0 }
                for token in run.start..<run.start + run.length {
                    let a = values.values + token * values.width
                    let g = gradient.values + token * values.width
                    for index in row.indices {
                        row[index] += Double(a[index]) * Double(g[index])
                        mean[index] += Double(a[index])
                    }
                }
                for unit in 0..<units {
                    let sum = row[unit * width..<(unit + 1) * width].reduce(0, +)
                    sums.values[kind]?[layer * units + unit] += sum
                    sums.sizes[kind]?[layer * units + unit] += abs(sum)
                }
            }
            for index in mean.indices { sums.means[kind]?[layer * values.width + index] += mean[index] }
            positions[kind]?[layer] += values.count
        }

        /// All sums one after another, in an order that depends on the model and the kinds alone.
        var numbers: [Double] {
            positions.keys.sorted().flatMap { kind in
                [sums.values, sums.sizes, sums.means].flatMap { $0[kind] ?? [] }
                    + (positions[kind] ?? []).map(Double.init)
            } + [Double(tokens)]
        }

        /// Adds another one's ``numbers``.
        func add(_ numbers: [Double]) {
            var rest = numbers[...]
            func take(into target: inout [Double]?) {
                guard let count = target?.count else { return }
                for (index, number) in rest.prefix(count).enumerated() { target?[index] += number }
                rest = rest.dropFirst(count)
            }
            for kind in positions.keys.sorted() {
                take(into: &sums.values[kind])
                take(into: &sums.sizes[kind])
                take(into: &sums.means[kind])
                let layers = positions[kind]?.count ?? 0
                for (layer, number) in rest.prefix(layers).enumerated() {
                    positions[kind]?[layer] += Int(number)
                }
                rest = rest.dropFirst(layers)
            }
            tokens += Int(rest.first ?? 0)
        }

        /// The sums, divided.
        var scores: UnitScores {
            var scores = sums
            let count = Double(max(tokens, 1))
            for kind in scores.values.keys {
                scores.values[kind] = sums.values[kind]?.map { $0 / count }
                scores.sizes[kind] = sums.sizes[kind]?.map { $0 / count }
                let width = configuration.units(kind) * configuration.unitWidth(kind)
                scores.means[kind] = sums.means[kind]?.enumerated().map { index, sum in
                    sum / Double(max(positions[kind]?[index / width] ?? 1, 1))
                }
            }
            return scores
        }
    }
}
