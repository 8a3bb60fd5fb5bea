// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Rotary position embedding (Su et al. 2021) in the half-split form of Llama checkpoints.
package struct RotaryEmbedding: Sendable, Hashable {
    /// How the frequencies are stretched for contexts longer than those of the first training.
    package enum Scaling: Sendable, Hashable {
        case none
        /// All frequencies divided by the factor.
        case linear(factor: Double)
        /// Each frequency divided by a factor of its own (LongRoPE's short factors).
        case perFrequency([Double])
        /// Low frequencies divided, high ones kept, those between interpolated (Llama 3.1).
        case llama3(
            factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalContext: Double)
    }

    /// The base of the geometric series of wavelengths.
    package var theta: Double
    /// How many of a head's values are rotated.
    package var size: Int
    package var scaling: Scaling
    /// What cosines and sines are multiplied by.
    package var magnitude: Float = 1

    /// Rotations of `size` values with wavelengths from 2π to 2π·`theta`.
    package init(theta: Double, size: Int, scaling: Scaling) {
        self.theta = theta
        self.size = size
        self.scaling = scaling
    }

    /// The size/2 angular frequencies, rounded to f32 where transformers does.
    package func frequencies() -> [Float] {
        stride(from: 0, to: size, by: 2).map { index in
            let exponent = Float(index) / Float(size)
            let frequency = 1 / Float(pow(theta, Double(exponent)))
            switch scaling {
            case .none: return frequency
            case .linear(let factor): return frequency / Float(factor)
            case .perFrequency(let factors):
                return 1 / (Float(factors[index / 2]) * Float(pow(theta, Double(exponent))))
            case .llama3(let factor, let low, let high, let context):
                let wavelength = 2 * Double.pi / Double(frequency)
                if wavelength < context / high { return frequency }
                if wavelength > context / low { return frequency / Float(factor) }
                let smooth = (context / wavelength - low) / (high - low)
                return Float((1 - smooth) * Double(frequency) / factor + smooth * Double(frequency))
            }
        }
    }
}

/// Cosines and sines of all positions up to a length: (positions, size/2) each.
final class RotaryTable {
    let length: Int
    /// How many of a head's values are rotated.
    let size: Int
    let cosines: FloatStorage
    let sines: FloatStorage

    init(_ embedding: RotaryEmbedding, length: Int) throws(EngineError) {
        let frequencies = embedding.frequencies()
        self.length = length
        size = embedding.size
        cosines = try FloatStorage(count: length * frequencies.count)
        sines = try FloatStorage(count: length * frequencies.count)
        for position in 0..<length {
            for (index, frequency) in frequencies.enumerated() {
                // The product is rounded to f32 first, as the reference implementation does.
                let angle = Double(Float(position) * frequency)
                let place = position * frequencies.count + index
                cosines.base[place] = Float(cos(angle)) * embedding.magnitude
                sines.base[place] = Float(sin(angle)) * embedding.magnitude
            }
        }
    }
}
