// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What must be added to the residual stream at one token, so that a fact's new answer is given: found by Adam (0.9,
/// 0.999) on L(new) + decay · ‖d‖/‖h‖², held to ‖d‖ ≤ clamp · ‖h‖ after each step, h the stream without it (Meng et al.,
/// arXiv 2202.05262).
package struct FactTarget: Sendable {
    /// d, (C).
    package private(set) var shift: [Double]
    /// h + d, (C).
    package private(set) var stream: [Double]
    /// Steps that were taken.
    package private(set) var steps = 0
    /// The mean loss of the new answer with d in place, nats.
    package private(set) var loss = 0.0

    /// Looks for it in the stream that leaves `blocks` blocks. The model must have nothing to train.
    ///
    /// - Parameter scratch: Not written to.
    /// - Throws: ``EngineError`` with `.invalidBatch`.
    init(
        _ fact: Fact, _ model: Transformer, after blocks: Int, _ settings: FactEdit.Settings,
        scratch: FloatStorage
    ) throws(EngineError) {
        let width = model.configuration.hiddenSize
        let batch = TokenBatch(padding: [fact.new])
        let start = fact.place * width
        var shift = [Double](repeating: 0, count: width)
        var slope = shift
        var first = shift
        var second = shift
        var origin: [Double] = []
        let observer = PassObserver(
            stream: { at, rows in
                guard at == blocks else { return }
                let row = rows.values + start
                if origin.isEmpty { origin = (0..<width).map { Double(row[$0]) } }
                for index in 0..<width { row[index] += Float(shift[index]) }
            },
            streamGradient: { at, rows in
                guard at == blocks else { return }
                let row = rows.values + start
                for index in 0..<width { slope[index] = Double(row[index]) }
            })
        var taken = 0
        var size = 0.0
        while taken < settings.steps {
            let loss = try model.accumulateGradients(batch, scale: 1, into: scratch, observer: observer).mean
            size = Self.length(origin)
            let length = Self.length(shift)
            if loss + settings.decay * length / (size * size) < settings.threshold { break }
            taken += 1
            let correction1 = 1 - pow(0.9, Double(taken))
            let correction2 = 1 - pow(0.999, Double(taken))
            for index in 0..<width {
                let decay =
                    length > 0 ? settings.decay * shift[index] / (length * size * size) : 0
                let gradient = slope[index] + decay
                first[index] = 0.9 * first[index] + 0.1 * gradient
                second[index] = 0.999 * second[index] + 0.001 * gradient * gradient
                shift[index] -=
                    settings.learningRate * (first[index] / correction1)
                    / ((second[index] / correction2).squareRoot() + 1e-8)
            }
            let most = settings.clamp * size
            let now = Self.length(shift)
            if now > most { for index in 0..<width { shift[index] *= most / now } }
        }
        let scores = try model.score(batch, observer: observer).flatMap { $0 }
        loss = scores.reduce(0) { $0 + Double($1.nll) } / Double(max(1, scores.count))
        steps = taken
        self.shift = shift
        stream = zip(origin, shift).map { $0 + $1 }
    }

    private static func length(_ x: [Double]) -> Double { x.reduce(0) { $0 + $1 * $1 }.squareRoot() }
}
