// SPDX-License-Identifier: Apache-2.0

import Protocol
import Testing

struct DigestTests {
    @Test func `bytes and digits say the same, in the same order`() throws {
        var random = SystemRandomNumberGenerator()
        var all: [(bytes: [UInt8], digest: Digest)] = []
        for index in 0..<200 {
            var bytes = (0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }
            // Some that differ late only.
            if index % 2 == 1, let last = all.last { bytes = last.bytes.prefix(31) + [UInt8(index)] }
            let digest = try #require(Digest(bytes: bytes))
            let digits = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            #expect(digest.bytes == bytes && digest.hex == digits)
            #expect(Digest(hex: digits) == digest && bytes.withUnsafeBytes { Digest(raw: $0) } == digest)
            all.append((bytes, digest))
        }
        for (left, right) in zip(all, all.dropFirst()) {
            #expect((left.digest < right.digest) == left.bytes.lexicographicallyPrecedes(right.bytes))
            #expect((left.digest == right.digest) == (left.bytes == right.bytes))
        }
        #expect(Set(all.map(\.digest)).count == Set(all.map(\.bytes)).count)
    }

    @Test func `anything else is no digest`() {
        let good = String(repeating: "0a", count: 32)
        #expect(Digest(hex: good) != nil)
        for text in [
            "", String(good.dropLast()), good + "0", good.uppercased(), String(repeating: "g", count: 64),
            String(good.dropLast()) + " ", "é" + String(good.dropLast(2)), String(repeating: "/", count: 64),
        ] { #expect(Digest(hex: text) == nil, "\(text)") }
        #expect(Digest(bytes: [UInt8](repeating: 0, count: 31)) == nil)
        #expect(Digest(bytes: [UInt8](repeating: 0, count: 33)) == nil)
    }
}
