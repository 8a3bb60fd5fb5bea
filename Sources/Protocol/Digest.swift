// SPDX-License-Identifier: Apache-2.0

/// A SHA-256 value: 32 bytes, written as 64 lower-case hexadecimal digits. It holds a hash; it computes none.
///
/// Held in place and not in an array: whoever looks at every object of a store has hundreds of thousands of them.
package struct Digest: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// Eight bytes each, the first byte of all the most significant one of the first.
    private let words: (UInt64, UInt64, UInt64, UInt64)

    /// A digest from its bytes; `nil` unless there are 32.
    package init?(bytes: some Collection<UInt8>) {
        let bytes = Array(bytes)
        guard let digest = bytes.withUnsafeBytes({ Digest(raw: $0) }) else { return nil }
        self = digest
    }

    /// A digest from its bytes where they lie; `nil` unless there are 32.
    package init?(raw bytes: UnsafeRawBufferPointer) {
        guard bytes.count == 32 else { return nil }
        func word(_ index: Int) -> UInt64 {
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self))
        }
        words = (word(0), word(1), word(2), word(3))
    }

    /// A digest from 64 lower-case hexadecimal digits; `nil` for anything else.
    package init?(hex: String) {
        var hex = hex
        let words = hex.withUTF8 { digits -> (UInt64, UInt64, UInt64, UInt64)? in
            guard digits.count == 64, let first = Self.word(digits, 0), let second = Self.word(digits, 16),
                let third = Self.word(digits, 32), let fourth = Self.word(digits, 48)
            else { return nil }
            return (first, second, third, fourth)
        }
        guard let words else { return nil }
        self.words = words
    }

    /// What 16 digits from `start` on stand for.
    private static func word(_ digits: UnsafeBufferPointer<UInt8>, _ start: Int) -> UInt64? {
        var word: UInt64 = 0
        for digit in digits[start..<start + 16] {
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): word = word << 4 | UInt64(digit - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"):
                word = word << 4 | UInt64(digit - UInt8(ascii: "a") + 10)
            default: return nil
            }
        }
        return word
    }

    /// The 32 bytes.
    package var bytes: [UInt8] {
        [words.0, words.1, words.2, words.3].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) }
        }
    }

    /// 64 lower-case hexadecimal digits.
    package var hex: String {
        String(unsafeUninitializedCapacity: 64) { buffer in
            var at = 0
            for word in [words.0, words.1, words.2, words.3] {
                for shift in stride(from: 60, through: 0, by: -4) {
                    let digit = UInt8(truncatingIfNeeded: word >> UInt64(shift)) & 15
                    buffer[at] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
                    at += 1
                }
            }
            return at
        }
    }

    /// The first twelve digits, for people.
    package var short: String { String(hex.prefix(12)) }

    package var description: String { hex }

    package static func == (left: Digest, right: Digest) -> Bool { left.words == right.words }

    package func hash(into hasher: inout Hasher) {
        // Half of a hash is spread as well as the whole of it.
        hasher.combine(words.0)
        hasher.combine(words.1)
    }

    package static func < (left: Digest, right: Digest) -> Bool { left.words < right.words }
}

extension Digest: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let digest = Digest(hex: try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "a digest is 64 lower-case hexadecimal digits")
        }
        self = digest
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(hex)
    }
}
