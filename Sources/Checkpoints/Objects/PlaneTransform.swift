// SPDX-License-Identifier: Apache-2.0

import CKernels

/// How a chunk's bytes are laid out before compression: as they are, or one plane per byte of an element.
///
/// Mantissa bytes are noise and exponent bytes are not; side by side, neither compresses. The sign bit is
/// rotated out of the exponent's byte where it would spoil it (ZipNN's reordering; `xet-core` found the same).
/// Elements are little-endian. Bytes that do not fill an element follow plane 0.
package enum PlaneTransform: UInt8, CaseIterable, Sendable {
    case none = 0
    case bytes2 = 1
    case rotated2 = 2
    case bytes4 = 3
    case rotated4 = 4
    case bytes8 = 5

    /// The transform that suits a type. A hint only: decoding goes by the object's own header.
    init(_ dtype: DType?) {
        switch dtype {
        case .bf16: self = .rotated2
        case .f16, .i16, .u16: self = .bytes2
        case .f32, .c64: self = .rotated4
        case .i32, .u32: self = .bytes4
        case .f64, .i64, .u64: self = .bytes8
        default: self = .none
        }
    }

    /// The transform that suits differences between elements of a type: they have no sign bit to rotate.
    init(differencesOf dtype: DType?) {
        switch PlaneTransform(dtype).width {
        case 2: self = .bytes2
        case 4: self = .bytes4
        case 8: self = .bytes8
        default: self = .none
        }
    }

    /// Bytes of an element, which is also the number of planes.
    package var width: Int {
        switch self {
        case .none: 1
        case .bytes2, .rotated2: 2
        case .bytes4, .rotated4: 4
        case .bytes8: 8
        }
    }

    /// The highest kernel level that this processor has; 0 is the portable one.
    package static var bestLevel: Int32 { ck_planes_level() }

    private var rotate: Int32 { self == .rotated2 || self == .rotated4 ? 1 : 0 }

    /// Bytes of plane `plane` of a frame of `count` raw bytes.
    package func size(ofPlane plane: Int, frame count: Int) -> Int {
        count / width + (plane == 0 ? count % width : 0)
    }

    /// Splits `raw` into planes, each of exactly its size.
    package func split(
        _ raw: UnsafeRawBufferPointer, into planes: [UnsafeMutableRawBufferPointer], level: Int32
    ) {
        precondition(width > 1 && planes.count == width)
        for (plane, bytes) in planes.enumerated() {
            precondition(bytes.count == size(ofPlane: plane, frame: raw.count))
        }
        let elements = raw.count / width
        if elements > 0, let source = raw.baseAddress {
            let pointers = planes.map { $0.baseAddress?.assumingMemoryBound(to: UInt8.self) }
            pointers.withUnsafeBufferPointer {
                ck_planes_split(
                    level, Int32(width), rotate, source.assumingMemoryBound(to: UInt8.self), elements,
                    $0.baseAddress)
            }
        }
        for index in elements * width..<raw.count {
            planes[0][elements + index - elements * width] = raw[index]
        }
    }

    /// The inverse of ``split(_:into:level:)``: `planes` holds the planes, each of exactly its size.
    package func merge(
        _ planes: [UnsafeRawBufferPointer], into raw: UnsafeMutableRawBufferPointer, level: Int32
    ) {
        precondition(width > 1 && planes.count == width)
        for (plane, bytes) in planes.enumerated() {
            precondition(bytes.count == size(ofPlane: plane, frame: raw.count))
        }
        let elements = raw.count / width
        if elements > 0, let target = raw.baseAddress {
            let pointers = planes.map { $0.baseAddress?.assumingMemoryBound(to: UInt8.self) }
            pointers.withUnsafeBufferPointer {
                ck_planes_merge(
                    level, Int32(width), rotate, $0.baseAddress, elements,
                    target.assumingMemoryBound(to: UInt8.self))
            }
        }
        for index in elements * width..<raw.count {
            raw[index] = planes[0][elements + index - elements * width]
        }
    }
}

/// CRC-32C (Castagnoli, RFC 3720) of some bytes; `portable` without the processor's own instruction.
package func crc32c(_ bytes: UnsafeRawBufferPointer, portable: Bool = false) -> UInt32 {
    let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
    return portable ? ck_crc32c_scalar(0, start, bytes.count) : ck_crc32c(0, start, bytes.count)
}
