// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Rounds a model's linear weights to what a quantised copy of it would hold, in memory.
///
/// Rounded are the projections of all blocks, output by output (W as (out, in), whatever the stored layout);
/// embeddings, norms, biases and the head stay, as they do where transformers loads models with bitsandbytes. Numbers
/// go to the nearest, ties to even:
///
/// - `int8`: each output's row by its absmax / 127.
/// - `int4`: groups of 32 inputs of a row by their absmax / 7 (symmetric: −8 is not used).
/// - `nf4`: blocks of 64 consecutive weights, divided by their absmax, to the nearest of the 16 quantiles of
///   NormalFloat (Dettmers et al., arXiv 2305.14314, with bitsandbytes' constants; no double quantisation).
package enum WeightQuantizer {
    /// The levels of NF4, ascending.
    package static let levels: [Float] = [
        -1, -0.6961928, -0.52507305, -0.3949175, -0.28444138, -0.18477343, -0.091050036, 0, 0.0795803,
        0.1609302, 0.2461123, 0.33791524, 0.44070983, 0.562617, 0.72295684, 1,
    ]

    /// Weights in one group of `int4`, and in one block of `nf4`.
    package static let group = 32
    package static let block = 64

    /// Rounds the weights of `model`; to undo it, load them again.
    package static func quantize(_ model: Transformer, to format: QuantizationFormat) {
        for block in model.layout.blocks {
            let linears = block.inputs.map(\.linear) + [block.output] + block.up.map(\.linear) + [block.down]
            for linear in linears {
                quantize(
                    model.parameters.base + linear.weight, outputs: linear.outputs, inputs: linear.inputs,
                    inputsFirst: linear.layout == .inputsFirst, to: format)
            }
        }
    }

    /// Rounds one matrix in place.
    package static func quantize(
        _ weights: UnsafeMutablePointer<Float>, outputs: Int, inputs: Int, inputsFirst: Bool,
        to format: QuantizationFormat
    ) {
        let count = outputs * inputs
        let size =
            switch format {
            case .int8: inputs
            case .int4: group
            case .nf4: block
            }
        func place(_ index: Int) -> Int {
            inputsFirst ? index % inputs * outputs + index / inputs : index
        }
        var start = 0
        while start < count {
            // Groups end with their row; blocks go on over the rows.
            let rowEnd = (start / inputs + 1) * inputs
            let end = min(start + size, format == .nf4 ? count : rowEnd)
            var largest: Float = 0
            for index in start..<end { largest = max(largest, abs(weights[place(index)])) }
            if largest > 0, largest.isFinite {
                for index in start..<end {
                    let at = place(index)
                    weights[at] = rounded(weights[at], largest, format)
                }
            }
            start = end
        }
    }

    private static func rounded(_ value: Float, _ largest: Float, _ format: QuantizationFormat) -> Float {
        switch format {
        case .int8: return integer(value, largest / 127, 127)
        case .int4: return integer(value, largest / 7, 7)
        case .nf4:
            let share = value / largest
            var best = levels[0]
            for level in levels.dropFirst() where abs(level - share) < abs(best - share) { best = level }
            return best * largest
        }
    }

    private static func integer(_ value: Float, _ step: Float, _ limit: Float) -> Float {
        guard step > 0 else { return 0 }
        return max(-limit, min(limit, (value / step).rounded(.toNearestOrEven))) * step
    }
}
