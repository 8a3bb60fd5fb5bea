// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Testing

struct PlaneTransformTests {
    static let counts = [
        0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 255, 256, 257, 1000, 4099,
    ]

    /// The planes of some bytes, each with a guard behind it that must not change.
    private func split(_ raw: [UInt8], _ transform: PlaneTransform, level: Int32) -> [[UInt8]] {
        let sizes = (0..<transform.width).map { transform.size(ofPlane: $0, frame: raw.count) }
        let rooms = sizes.map { UnsafeMutableRawBufferPointer.allocate(byteCount: $0 + 5, alignment: 1) }
        defer { for room in rooms { room.deallocate() } }
        for room in rooms { room.initializeMemory(as: UInt8.self, repeating: 0xEE) }
        raw.withUnsafeBytes { source in
            transform.split(
                source,
                into: zip(rooms, sizes).map { UnsafeMutableRawBufferPointer(rebasing: $0[..<$1]) },
                level: level)
        }
        for (room, size) in zip(rooms, sizes) { #expect(room[size...].allSatisfy { $0 == 0xEE }) }
        return zip(rooms, sizes).map { Array($0[..<$1]) }
    }

    private func copy(_ bytes: UnsafeRawBufferPointer) -> UnsafeMutableRawBufferPointer {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        copy.copyMemory(from: bytes)
        return copy
    }

    @Test(arguments: PlaneTransform.allCases.filter { $0.width > 1 })
    func `every level splits as the portable one does and merges back`(transform: PlaneTransform) {
        var random = TestRandom(UInt64(transform.rawValue))
        for count in Self.counts {
            let raw = random.bytes(count)
            var portable: [[UInt8]]?
            for level in 0...PlaneTransform.bestLevel {
                let planes = split(raw, transform, level: level)
                if let portable { #expect(planes == portable, "\(count) bytes, level \(level)") }
                portable = planes
                var back = [UInt8](repeating: 0, count: count)
                let parts = planes.map { $0.withUnsafeBytes { copy($0) } }
                defer { for part in parts { part.deallocate() } }
                back.withUnsafeMutableBytes {
                    transform.merge(parts.map { UnsafeRawBufferPointer($0) }, into: $0, level: level)
                }
                #expect(back == raw, "\(count) bytes, level \(level)")
            }
        }
    }

    @Test func `bfloat16 signs leave the exponent's plane`() {
        // 1.0 and -1.0: 0x3F80 and 0xBF80 rotate to 0x7F00 and 0x7F01.
        let raw: [UInt8] = [0x80, 0x3F, 0x80, 0xBF]
        let planes = split(raw, .rotated2, level: 0)
        #expect(planes == [[0x00, 0x01], [0x7F, 0x7F]])
    }

    @Test func `checksums are CRC-32C`() {
        // The check value of the CRC catalogue, and 32 zero bytes from RFC 3720 B.4.
        let digits = Array("123456789".utf8)
        #expect(digits.withUnsafeBytes { crc32c($0) } == 0xE306_9283)
        #expect([UInt8](repeating: 0, count: 32).withUnsafeBytes { crc32c($0) } == 0x8A91_36AA)
    }

    @Test func `the fast checksum is the portable one for every length and alignment`() {
        var random = TestRandom(3)
        let bytes = random.bytes(40_000)
        // Around where the one, two and three runs of both lengths begin and end, and every length below the first.
        let lengths =
            Array(0..<1700) + [3 * 4096, 6 * 4096, 9 * 4096].flatMap { ($0 - 9)...($0 + 800) }
        for length in lengths {
            let start = length % 9
            let same = bytes[start..<start + length].withUnsafeBytes {
                crc32c($0) == crc32c($0, portable: true)
            }
            #expect(same, "\(length) bytes from \(start)")
        }
        for start in 0..<64 {
            let same = bytes[start..<start + 13_337].withUnsafeBytes {
                crc32c($0) == crc32c($0, portable: true)
            }
            #expect(same, "from \(start)")
        }
    }
}
