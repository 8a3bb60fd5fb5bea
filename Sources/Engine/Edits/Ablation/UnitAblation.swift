// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Protocol

/// Switches units off by their output weights: the columns of the projection behind them. Every other parameter keeps
/// its bits.
///
/// - `zero`: the columns become +0.
/// - `dampen`: they are multiplied by a factor, in f32, each rounded once to the stored type (f64 for F64).
/// - `mean`: they become 0 and the projection's bias takes up what the units contribute on the mean,
///   Σ mean(a) · W[:, a]: the rest of the network sees what it is used to. The sum is in f64, rounded once.
package struct UnitAblation: Sendable {
    /// The edit of one weight matrix.
    private struct Matrix: Sendable {
        var offset: Int
        var inputs: Int
        var outputs: Int
        var inputsFirst: Bool
        /// Ascending.
        var columns: [Int]
        var bias: Bias?

        /// Where the weight of an input and an output lies in the parameters.
        func place(_ column: Int, _ output: Int) -> Int {
            offset + (inputsFirst ? column * outputs + output : output * inputs + column)
        }
    }

    private struct Bias: Sendable {
        var offset: Int
        var tensor: String
        /// Each column's mean activation.
        var means: [Double]
    }

    /// The units, in the order of the network.
    package let units: [AblationUnit]
    /// Values of the weights that are set, biases included.
    package let parameters: Int
    private let matrices: [String: Matrix]
    private let biases: [String: [Double]]
    private let mode: AblationMode
    private let factor: Double

    /// - Parameters:
    ///   - model: Holds the weights before the edit; what `mean` adds to biases is computed now.
    ///   - bindings: As ``ModelLoader`` gave them.
    ///   - factor: What `dampen` multiplies by.
    ///   - means: Mean activations (layers, width) by kind, for `mean`.
    /// - Throws: ``EngineError`` with `.unsupportedModel` where `mean` finds no bias to put the mean into.
    package init(
        _ model: Transformer, bindings: [ParameterTable.Binding], units: [AblationUnit], mode: AblationMode,
        factor: Double = 0, means: [AblationUnit.Kind: [Double]] = [:]
    ) throws(EngineError) {
        self.units = units.sorted()
        self.mode = mode
        self.factor = factor
        let c = model.configuration
        var names: [Int: String] = [:]
        for binding in bindings where !binding.isAlias {
            names[model.table.entries[binding.entry].offset] = binding.tensor
        }
        var matrices: [String: Matrix] = [:]
        for unit in self.units {
            let block = model.layout.blocks[unit.layer]
            let linear = unit.kind == .neuron ? block.down : block.output
            let width = c.unitWidth(unit.kind)
            guard let name = names[linear.weight] else {
                throw EngineError(
                    .tensorMismatch,
                    "the checkpoint has no tensor of its own for \(unit.kind.rawValue) \(unit.index) of layer \(unit.layer)",
                    hint: "Check that config.json and the safetensors files belong together.")
            }
            var matrix =
                matrices[name]
                ?? Matrix(
                    offset: linear.weight, inputs: linear.inputs, outputs: linear.outputs,
                    inputsFirst: linear.layout == .inputsFirst, columns: [])
            let columns = unit.index * width..<(unit.index + 1) * width
            if mode == .mean {
                guard let offset = linear.bias, let tensor = names[offset] else {
                    throw EngineError(
                        .unsupportedModel,
                        "\(name) has no bias, so there is nowhere to put the mean of what is switched off",
                        hint: "Use --mode zero or --mode dampen for this architecture.")
                }
                let start = unit.layer * c.units(unit.kind) * width
                let given = columns.map { means[unit.kind]?[start + $0] ?? 0 }
                var bias = matrix.bias ?? Bias(offset: offset, tensor: tensor, means: [])
                bias.means += given
                matrix.bias = bias
            }
            matrix.columns += columns
            matrices[name] = matrix
        }
        self.matrices = matrices
        var biases: [String: [Double]] = [:]
        for matrix in matrices.values {
            guard let bias = matrix.bias else { continue }
            var sums = [Double](repeating: 0, count: matrix.outputs)
            for (column, mean) in zip(matrix.columns, bias.means) {
                for output in 0..<matrix.outputs {
                    sums[output] += mean * Double(model.parameters.base[matrix.place(column, output)])
                }
            }
            biases[bias.tensor] = sums
        }
        self.biases = biases
        parameters =
            matrices.values.reduce(0) { $0 + $1.columns.count * $1.outputs }
            + biases.values.reduce(0) { $0 + $1.count }
    }

    /// Edits one segment in place; the closure that `CheckpointRewriter` asks for.
    ///
    /// - Returns: Whether the tensor is one of those that are edited.
    package func edit(_ segment: TensorSegment, _ bytes: UnsafeMutableRawBufferPointer) throws -> Bool {
        let type = segment.tensor.dtype
        let width = type.bits / 8
        let first = segment.bytes.lowerBound / width
        let elements = first..<first + bytes.count / width
        if let sums = biases[segment.tensor.name] {
            for index in elements {
                type.change(bytes, at: index - first) { value in value + sums[index] }
            }
            return true
        }
        guard let matrix = matrices[segment.tensor.name] else { return false }
        let change: (Double) -> Double =
            mode == .dampen && factor != 0 ? { [factor] in $0 * factor } : { _ in 0 }
        if matrix.inputsFirst {
            for column in matrix.columns {
                let row = column * matrix.outputs..<(column + 1) * matrix.outputs
                for index in row.clamped(to: elements) { type.change(bytes, at: index - first, change) }
            }
        } else {
            let rows =
                elements.lowerBound / matrix.inputs...max(elements.lowerBound, elements.upperBound - 1)
                / matrix.inputs
            for row in rows {
                for column in matrix.columns {
                    let index = row * matrix.inputs + column
                    if elements.contains(index) { type.change(bytes, at: index - first, change) }
                }
            }
        }
        return true
    }

    /// Runs `body` with the edit made in the weights of a model in memory, and undoes it.
    package func inMemory<Value>(_ model: Transformer, _ body: () throws -> Value) rethrows -> Value {
        let undo = apply(to: model)
        defer { undo.restore(model) }
        return try body()
    }

    /// Makes the edit in the weights of a model in memory, and returns what undoes it.
    private func apply(to model: Transformer) -> Undo {
        var undo = Undo()
        let weights = model.parameters.base
        func set(_ place: Int, _ value: Float) {
            undo.places.append(place)
            undo.values.append(weights[place])
            weights[place] = value
        }
        for (_, matrix) in matrices.sorted(by: { $0.key < $1.key }) {
            for column in matrix.columns {
                for output in 0..<matrix.outputs {
                    let place = matrix.place(column, output)
                    set(place, mode == .dampen && factor != 0 ? Float(Double(weights[place]) * factor) : 0)
                }
            }
            if let bias = matrix.bias, let sums = biases[bias.tensor] {
                for (output, sum) in sums.enumerated() {
                    set(bias.offset + output, Float(Double(weights[bias.offset + output]) + sum))
                }
            }
        }
        return undo
    }

    /// The weights that an edit replaced.
    private struct Undo {
        var places: [Int] = []
        var values: [Float] = []

        /// Puts them back.
        func restore(_ model: Transformer) {
            for (place, value) in zip(places, values) { model.parameters.base[place] = value }
        }
    }
}
