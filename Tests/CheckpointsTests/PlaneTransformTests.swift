// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Testing

struct PlaneTransformTests {
    static let counts = [
        0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 255, 256, 257, 1000, 4099,
    ]

    @Test(arguments: PlaneTransform.allCases.filter { $0.width > 1 })
    func `every level splits as the portable one does and merges back`(transform: PlaneTransform) {
        var random = TestRandom(UInt64(transform.rawValue))
        for count in Self.counts {
            let raw = random.bytes(count)
            let stride = count / transform.width + count % transform.width + 5
            var portable: [UInt8]?
            for level in 0...PlaneTransform.bestLevel {
                var planes = [UInt8](repeating: 0xEE, count: stride * transform.width)
                raw.withUnsafeBytes { source in
                    planes.withUnsafeMutableBytes {
                        transform.split(source, into: $0, stride: stride, level: level)
                    }
                }
                if let portable { #expect(planes == portable, "\(count) bytes, level \(level)") }
                portable = planes
                var back = [UInt8](repeating: 0, count: count)
                planes.withUnsafeBytes { source in
                    let parts = (0..<transform.width).map { plane in
                        let size = transform.size(ofPlane: plane, frame: count)
                        return UnsafeRawBufferPointer(
                            rebasing: source[plane * stride..<plane * stride + size])
                    }
                    back.withUnsafeMutableBytes { transform.merge(parts, into: $0, level: level) }
                }
                #expect(back == raw, "\(count) bytes, level \(level)")
            }
        }
    }

    @Test func `bfloat16 signs leave the exponent's plane`() {
        // 1.0 and -1.0: 0x3F80 and 0xBF80 rotate to 0x7F00 and 0x7F01.
        let raw: [UInt8] = [0x80, 0x3F, 0x80, 0xBF]
        var planes = [UInt8](repeating: 0, count: 4)
        raw.withUnsafeBytes { source in
            planes.withUnsafeMutableBytes {
                PlaneTransform.rotated2.split(source, into: $0, stride: 2, level: 0)
            }
        }
        #expect(planes == [0x00, 0x01, 0x7F, 0x7F])
    }

    @Test func `checksums are CRC-32C`() {
        // The check value of the CRC catalogue, and 32 zero bytes from RFC 3720 B.4.
        let digits = Array("123456789".utf8)
        #expect(digits.withUnsafeBytes { crc32c($0) } == 0xE306_9283)
        #expect([UInt8](repeating: 0, count: 32).withUnsafeBytes { crc32c($0) } == 0x8A91_36AA)
        var random = TestRandom(3)
        for count in Self.counts {
            let bytes = random.bytes(count)
            #expect(
                bytes.withUnsafeBytes { crc32c($0) } == bytes.withUnsafeBytes { crc32c($0, portable: true) })
        }
    }
}
