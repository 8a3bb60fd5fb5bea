// SPDX-License-Identifier: Apache-2.0

/// Random numbers that are a function of (seed, stream, position), the same on every machine.
///
/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): the key is the seed, the
/// counter is (position, stream). Streams of one seed are independent: an epoch's order and a tensor's initial
/// values take their own. Not for secrets.
package struct RandomSource: Sendable, RandomNumberGenerator {
    private let seed: UInt64
    private let stream: UInt64
    private var position: UInt64 = 0
    private var buffered: UInt64?
    private var spareNormal: Double?

    /// The numbers of `stream` under `seed`, from the start.
    package init(seed: UInt64, stream: UInt64 = 0) {
        self.seed = seed
        self.stream = stream
    }

    /// The four words of one block.
    package static func block(seed: UInt64, stream: UInt64, position: UInt64) -> (
        UInt32, UInt32, UInt32, UInt32
    ) {
        var key = (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
        var word = (
            UInt32(truncatingIfNeeded: position), UInt32(truncatingIfNeeded: position >> 32),
            UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32)
        )
        for _ in 0..<10 {
            let a = UInt64(0xD251_1F53) * UInt64(word.0)
            let b = UInt64(0xCD9E_8D57) * UInt64(word.2)
            word = (
                UInt32(truncatingIfNeeded: b >> 32) ^ word.1 ^ key.0, UInt32(truncatingIfNeeded: b),
                UInt32(truncatingIfNeeded: a >> 32) ^ word.3 ^ key.1, UInt32(truncatingIfNeeded: a)
            )
            key = (key.0 &+ 0x9E37_79B9, key.1 &+ 0xBB67_AE85)
        }
        return word
    }

    /// The next 64 random bits.
    package mutating func next() -> UInt64 {
        if let value = buffered {
            buffered = nil
            return value
        }
        let word = Self.block(seed: seed, stream: stream, position: position)
        position &+= 1
        buffered = UInt64(word.2) | UInt64(word.3) << 32
        return UInt64(word.0) | UInt64(word.1) << 32
    }

    /// A number in `0..<bound`, without bias (Lemire 2019).
    package mutating func below(_ bound: UInt64) -> UInt64 {
        precondition(bound > 0, "there is no number below zero")
        var product = next().multipliedFullWidth(by: bound)
        let threshold = (0 &- bound) % bound
        while product.low < threshold { product = next().multipliedFullWidth(by: bound) }
        return product.high
    }

    /// A number in [0, 1) with 53 random bits.
    package mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// A number of the standard normal distribution (Marsaglia's polar method).
    package mutating func normal() -> Double {
        if let value = spareNormal {
            spareNormal = nil
            return value
        }
        while true {
            let x = 2 * uniform() - 1
            let y = 2 * uniform() - 1
            let square = x * x + y * y
            if square > 0 && square < 1 {
                let factor = (-2 * Self.logarithm(square) / square).squareRoot()
                spareNormal = y * factor
                return x * factor
            }
        }
    }

    /// The natural logarithm of x in (0, 1] from basic arithmetic alone, because the C library's differs in the
    /// last bit between machines: log x = e·ln 2 + 2 artanh((m − 1)/(m + 1)).
    static func logarithm(_ x: Double) -> Double {
        var mantissa = x.significand
        var exponent = Double(x.exponent)
        if mantissa > 1.414_213_562_373_095_1 {
            mantissa *= 0.5
            exponent += 1
        }
        let z = (mantissa - 1) / (mantissa + 1)
        let square = z * z
        var sum = 0.0
        for k in stride(from: 23, through: 1, by: -2) { sum = sum * square + 1 / Double(k) }
        return exponent * 0.693_147_180_559_945_3 + 2 * z * sum
    }

    /// A permutation of `0..<count` (Fisher and Yates).
    package mutating func permutation(_ count: Int) -> [Int] {
        var order = Array(0..<count)
        for index in stride(from: count - 1, to: 0, by: -1) {
            order.swapAt(index, Int(below(UInt64(index) + 1)))
        }
        return order
    }
}
