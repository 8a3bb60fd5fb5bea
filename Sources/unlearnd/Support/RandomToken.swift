// SPDX-License-Identifier: Apache-2.0

/// Names that cannot be guessed.
enum RandomToken {
    /// 128 random bits of the system's generator as 32 hexadecimal digits.
    static func make() -> String {
        var generator = SystemRandomNumberGenerator()
        return (0..<2).map { _ in
            let digits = String(UInt64.random(in: .min ... .max, using: &generator), radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}
