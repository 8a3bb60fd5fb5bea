// SPDX-License-Identifier: Apache-2.0

extension DType {
    /// Whether ``decode(_:into:)`` knows the type.
    ///
    /// Not so for types that are packed into less than a byte, nor for bare exponents.
    var isDecodable: Bool {
        switch self {
        case .f4, .f6e2m3, .f6e3m2, .f8e8m0: false
        default: true
        }
    }

    /// Numbers per element: a complex element has two.
    var components: Int { self == .c64 ? 2 : 1 }

    /// The values of little-endian elements as doubles; exact but for integers beyond 2^53.
    ///
    /// - Parameters:
    ///   - bytes: Whole elements, maybe unaligned.
    ///   - values: One for each component of each element.
    func decode(_ bytes: UnsafeRawBufferPointer, into values: UnsafeMutableBufferPointer<Double>) {
        precondition(isDecodable && values.count * bits == bytes.count * 8 * components)
        func each<T: BitwiseCopyable>(_ type: T.Type, _ value: (T) -> Double) {
            for index in values.indices {
                values[index] = value(
                    bytes.loadUnaligned(fromByteOffset: index * MemoryLayout<T>.size, as: type))
            }
        }
        switch self {
        case .bf16: each(UInt16.self) { Double(Float(bitPattern: UInt32(UInt16(littleEndian: $0)) << 16)) }
        case .f16: each(UInt16.self) { Double(Self.half(UInt16(littleEndian: $0))) }
        case .f32, .c64: each(UInt32.self) { Double(Float(bitPattern: UInt32(littleEndian: $0))) }
        case .f64: each(UInt64.self) { Double(bitPattern: UInt64(littleEndian: $0)) }
        case .bool, .u8: each(UInt8.self) { Double($0) }
        case .i8: each(Int8.self) { Double($0) }
        case .i16: each(Int16.self) { Double(Int16(littleEndian: $0)) }
        case .u16: each(UInt16.self) { Double(UInt16(littleEndian: $0)) }
        case .i32: each(Int32.self) { Double(Int32(littleEndian: $0)) }
        case .u32: each(UInt32.self) { Double(UInt32(littleEndian: $0)) }
        case .i64: each(Int64.self) { Double(Int64(littleEndian: $0)) }
        case .u64: each(UInt64.self) { Double(UInt64(littleEndian: $0)) }
        case .f8e5m2: each(UInt8.self) { Double(Self.half(UInt16($0) << 8)) }
        case .f8e4m3: each(UInt8.self) { Self.quarter($0, mantissa: 3, bias: 7, onlyNaN: nil) }
        case .f8e4m3fnuz: each(UInt8.self) { Self.quarter($0, mantissa: 3, bias: 8, onlyNaN: 0x80) }
        case .f8e5m2fnuz: each(UInt8.self) { Self.quarter($0, mantissa: 2, bias: 16, onlyNaN: 0x80) }
        case .f4, .f6e2m3, .f6e3m2, .f8e8m0: break
        }
    }

    /// IEEE 754 binary16.
    private static func half(_ bits: UInt16) -> Float {
        let sign = UInt32(bits & 0x8000) << 16
        let exponent = UInt32(bits >> 10 & 0x1F)
        let fraction = UInt32(bits & 0x3FF)
        switch exponent {
        case 0x1F: return Float(bitPattern: sign | 0x7F80_0000 | fraction << 13)
        case 0:
            // Subnormal: fraction · 2^-24, exact in f32.
            let size = Float(fraction) * 0x1p-24
            return sign == 0 ? size : -size
        default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
        }
    }

    /// The 8-bit floats without infinities (OCP 8-bit floating point specification 1.0 for E4M3; the FNUZ types
    /// of Micikevicius et al. and ONNX: one NaN, no negative zero). `onlyNaN` nil: NaN is all ones but the sign.
    private static func quarter(_ bits: UInt8, mantissa: Int, bias: Int, onlyNaN: UInt8?) -> Double {
        if let onlyNaN {
            if bits == onlyNaN { return .nan }
        } else if bits & 0x7F == 0x7F {
            return .nan
        }
        let exponent = Int(bits & 0x7F) >> mantissa
        let fraction = Double(Int(bits) & (1 << mantissa - 1)) / Double(1 << mantissa)
        let size =
            exponent == 0
            ? Double(sign: .plus, exponent: 1 - bias, significand: 1) * fraction
            : Double(sign: .plus, exponent: exponent - bias, significand: 1) * (1 + fraction)
        return bits & 0x80 == 0 ? size : -size
    }
}
