// SPDX-License-Identifier: Apache-2.0

/// 16 random bytes: what a key of the ring is called, and what tells the files of one key apart.
package struct KeyName: Hashable, Sendable, CustomStringConvertible {
    static let size = 16

    private let high: UInt64
    private let low: UInt64

    /// A name that nothing else has.
    init() {
        // The system's generator, since files of one key must never share a name.
        var random = SystemRandomNumberGenerator()
        (high, low) = (random.next(), random.next())
    }

    /// A name from its bytes; `nil` unless there are 16.
    init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.size else { return nil }
        func half(_ bytes: some Sequence<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
        high = half(bytes.prefix(8))
        low = half(bytes.dropFirst(8))
    }

    /// The 16 bytes.
    var bytes: [UInt8] {
        [high, low].flatMap { half in (0..<8).map { UInt8(truncatingIfNeeded: half >> (56 - 8 * $0)) } }
    }

    /// The first eight digits, for people.
    package var description: String {
        let digits = String(high >> 32, radix: 16)
        return String(repeating: "0", count: 8 - digits.utf8.count) + digits
    }
}
