// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Testing

/// Losses on three rows of logits small enough to follow by hand, against values computed in double precision.
struct LossVectorTests {
    private let logits: [[Float]] = [[2, 0, -1, 0.5], [0, 1, 0, -1], [0.3, 0.2, 0.1, 3]]
    private let reference: [[Float]] = [[3, 0, -1, 0], [0, 2, 0, -1], [0, 0, 0, 4]]
    private let targets = [0, 1, 3]

    private func likelihoods(_ rows: [[Float]]) -> [Double] {
        zip(rows, targets).map { row, target in
            var row = row
            return row.withUnsafeMutableBufferPointer { LogitLoss.likelihood($0, target: target) }
        }
    }

    private var sum: Double { likelihoods(logits).reduce(0, +) }
    private var baseSum: Double { likelihoods(reference).reduce(0, +) }

    private func expect(
        _ value: Double, _ expected: Double, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(abs(value - expected) < 5e-7, "\(value), not \(expected)", sourceLocation: sourceLocation)
    }

    @Test func `likelihoods are those of softmax`() {
        for (value, expected) in zip(likelihoods(logits), [0.34234958, 0.62652338, 0.16808638]) {
            expect(value, expected)
        }
        expect(sum, 1.13695934)
        expect(baseSum, 0.44291160)
    }

    @Test func `preference losses have the published values and slopes`() {
        let npo = PreferenceLoss(beta: 0.1)
        expect(npo.value(sum - baseSum), 13.18093601)
        expect(npo.value(0), 13.86294361)
        expect(npo.slope(0), -1)
        expect(npo.slope(sum - baseSum), -0.96531154)
        expect(PreferenceLoss(beta: 4.5).value(sum / 3), 0.07419903)
        expect(PreferenceLoss(beta: 2.5).value(sum / 3), 0.26213097)
        // Far from the base the loss is a line on one side and nothing on the other, without overflow.
        let steep = PreferenceLoss(beta: 10)
        #expect(
            steep.value(-1e6) == 2e6 && steep.value(1e6) == 0 && steep.slope(1e6) == 0
                && steep.slope(-1e6) == -2)
    }

    @Test func `weighted likelihoods`() {
        let tokens = likelihoods(logits)
        let wga = WeightedLikelihoodTerm(known: 1)
        expect(-tokens.map { wga.weight($0) * $0 }.reduce(0, +) / 3, -0.24000864)
        let satimp = WeightedLikelihoodTerm(known: 5, unknown: 1)
        expect(-tokens.map { satimp.weight($0) * $0 }.reduce(0, +) / 3, -0.01395322)
        #expect(satimp.weight(0) == 0 && wga.weight(0) == 1 && satimp.weight(1e9) == 0)
    }

    /// The mean of a loss over the rows, and its gradients.
    private func run(
        _ rows: Range<Int> = 0..<3, _ loss: (Int, UnsafeMutableBufferPointer<Float>) -> Double
    ) -> (mean: Double, gradients: [[Float]]) {
        var gradients: [[Float]] = []
        var sum = 0.0
        for row in rows {
            var values = logits[row]
            sum += values.withUnsafeMutableBufferPointer { loss(row, $0) }
            gradients.append(values)
        }
        return (sum / Double(rows.count), gradients)
    }

    /// Compares gradients with differences of a function of one row of logits.
    private func expectGradients(
        _ gradients: [[Float]], _ rows: Range<Int>, of value: (Int, [Double]) -> Double,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        for (row, gradient) in zip(rows, gradients) {
            for index in gradient.indices {
                var (up, down) = (logits[row].map(Double.init), logits[row].map(Double.init))
                up[index] += 1e-4
                down[index] -= 1e-4
                let slope = (value(row, up) - value(row, down)) / 2e-4
                #expect(
                    abs(Double(gradient[index]) - slope) < 2e-6, "row \(row), \(index)",
                    sourceLocation: sourceLocation)
            }
        }
    }

    private func logSoftmax(_ row: [Double]) -> [Double] {
        let sum = log(row.reduce(0) { $0 + exp($1) })
        return row.map { $0 - sum }
    }

    private func crossEntropy(_ wanted: [Double], _ row: [Double]) -> Double {
        -zip(wanted, logSoftmax(row)).reduce(0) { $1.0 == 0 ? $0 : $0 + $1.0 * $1.1 }
    }

    @Test func `UNDIAL learns the base with the label lowered`() throws {
        let context = try ComputeContext(threads: 1)
        let (mean, gradients) = run { row, values in
            var reference = reference[row]
            return reference.withUnsafeMutableBufferPointer {
                LogitLoss.selfDistillation(
                    values, $0, target: targets[row], beta: 10, scale: 1, context)
            }
        }
        expect(mean, 2.34443369)
        expectGradients(gradients, 0..<3) { row, values in
            var wanted = reference[row].map(Double.init)
            wanted[targets[row]] -= 10
            return crossEntropy(logSoftmax(wanted).map { exp($0) }, values)
        }
    }

    @Test func `CE-U learns its own distribution without the label`() {
        let (mean, gradients) = run(1..<3) { row, values in
            LogitLoss.complement(values, target: targets[row], scale: 1)
        }
        expect(mean, 2.37165829)
        expectGradients(gradients, 1..<3) { row, values in
            // q is held constant: that of the logits as they are.
            let masked = logits[row].enumerated().map { $0 == targets[row] ? -.infinity : Double($1) }
            return crossEntropy(logSoftmax(masked).map { exp($0) }, values)
        }
    }

    @Test func `CE-U keeps its digits where the model is sure`() {
        for (label, expected) in [(Float(60), 60), (Float(-60), 1.0986123)] {
            var values: [Float] = [0, label, 0, 0]
            let loss = values.withUnsafeMutableBufferPointer {
                LogitLoss.complement($0, target: 1, scale: 1)
            }
            #expect(abs(loss - expected) < 1e-5)
            #expect(values.allSatisfy(\.isFinite) && abs(values.reduce(0, +)) < 1e-6)
            #expect(label < 0 ? abs(values[1]) < 1e-20 : values[1] == 1)
        }
    }

    @Test func `PDU flattens the logits`() {
        let (mean, gradients) = run { _, values in LogitLoss.spread(values, scale: 1) }
        expect(mean, 2.68354167)
        expectGradients(gradients, 0..<3) { _, values in
            let spread = (values.max() ?? 0) - values.reduce(0, +) / Double(values.count)
            return spread * spread
        }
    }

    @Test func `two ways to weigh are not one`() {
        let (mixed, apart) = (LossWeights.mix(0.25), LossWeights.coefficients(gamma: 0.25, alpha: 0.5))
        #expect(mixed.forget == 0.25 && mixed.retain == 0.75 && apart.forget == 0.25 && apart.retain == 0.5)
        let dual = DualWeight(rate: 2, limit: 1.5, warmUpEpochs: 1)
        #expect(dual.next(1, retainLoss: 9, epoch: 1) == 1)
        #expect(dual.next(1, retainLoss: 2, epoch: 2) == 2 && dual.next(1, retainLoss: 0.5, epoch: 2) == 0)
    }
}
