// SPDX-License-Identifier: Apache-2.0

/// What of an object is left when another of the same length is taken away, element by element.
///
/// Elements are little-endian integers of 1, 2, 4 or 8 bytes, whatever they stand for: the difference wraps, so any
/// bits come back. It is zigzag coded, 0, −1, 1, −2, … as 0, 1, 2, 3, …, so that small differences of either sign have
/// zeros in their upper planes. Bytes that fill no whole element are elements of one byte. Neighbouring floating-point
/// numbers of one sign have neighbouring bits, so a small edit gives small differences.
struct ElementDifference {
    /// Bytes of an element.
    var width: Int

    /// `codes` = zigzag(`bytes` − `base`); all three have the same length.
    func take(
        _ base: UnsafeRawBufferPointer, from bytes: UnsafeRawBufferPointer,
        into codes: UnsafeMutableRawBufferPointer
    ) {
        precondition(base.count == bytes.count && codes.count == bytes.count)
        switch width {
        case 2: take(UInt16.self, base, from: bytes, into: codes)
        case 4: take(UInt32.self, base, from: bytes, into: codes)
        case 8: take(UInt64.self, base, from: bytes, into: codes)
        default: take(UInt8.self, base, from: bytes, into: codes)
        }
    }

    /// `bytes` = `base` + what `codes` stand for; `bytes` may be one of the other two.
    func add(
        _ codes: UnsafeRawBufferPointer, to base: UnsafeRawBufferPointer,
        into bytes: UnsafeMutableRawBufferPointer
    ) {
        precondition(base.count == bytes.count && codes.count == bytes.count)
        switch width {
        case 2: add(UInt16.self, codes, to: base, into: bytes)
        case 4: add(UInt32.self, codes, to: base, into: bytes)
        case 8: add(UInt64.self, codes, to: base, into: bytes)
        default: add(UInt8.self, codes, to: base, into: bytes)
        }
    }

    private func take<E: FixedWidthInteger & UnsignedInteger>(
        _: E.Type, _ base: UnsafeRawBufferPointer, from bytes: UnsafeRawBufferPointer,
        into codes: UnsafeMutableRawBufferPointer
    ) {
        let size = MemoryLayout<E>.size
        let whole = bytes.count / size * size
        for at in stride(from: 0, to: whole, by: size) {
            let new = E(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: E.self))
            let old = E(littleEndian: base.loadUnaligned(fromByteOffset: at, as: E.self))
            codes.storeBytes(of: Self.zigzag(new &- old).littleEndian, toByteOffset: at, as: E.self)
        }
        for at in whole..<bytes.count { codes[at] = Self.zigzag(bytes[at] &- base[at]) }
    }

    private func add<E: FixedWidthInteger & UnsignedInteger>(
        _: E.Type, _ codes: UnsafeRawBufferPointer, to base: UnsafeRawBufferPointer,
        into bytes: UnsafeMutableRawBufferPointer
    ) {
        let size = MemoryLayout<E>.size
        let whole = bytes.count / size * size
        for at in stride(from: 0, to: whole, by: size) {
            let code = E(littleEndian: codes.loadUnaligned(fromByteOffset: at, as: E.self))
            let old = E(littleEndian: base.loadUnaligned(fromByteOffset: at, as: E.self))
            bytes.storeBytes(of: (old &+ Self.unzigzag(code)).littleEndian, toByteOffset: at, as: E.self)
        }
        for at in whole..<bytes.count { bytes[at] = base[at] &+ Self.unzigzag(codes[at]) }
    }

    @inline(__always)
    private static func zigzag<E: FixedWidthInteger & UnsignedInteger>(_ difference: E) -> E {
        // All ones for a negative difference.
        (difference &<< 1) ^ (0 &- (difference &>> (E.bitWidth - 1)))
    }

    @inline(__always)
    private static func unzigzag<E: FixedWidthInteger & UnsignedInteger>(_ code: E) -> E {
        (code &>> 1) ^ (0 &- (code & 1))
    }
}
