// SPDX-License-Identifier: Apache-2.0

/// The key that key rings are sealed with. It is kept outside of what it locks.
package struct MasterKey: Sendable {
    private let key: SealingKey
    /// What tells it from others, and tells nothing of it: 16 hexadecimal digits.
    package let id: String

    /// Reads 32 bytes, or 64 hexadecimal digits with or without the end of a line.
    /// - Throws: ``CheckpointError`` `.locked`.
    package init(parsing bytes: [UInt8]) throws {
        let plain = bytes.count == SealingKey.size ? bytes : try Self.digits(bytes)
        guard let key = SealingKey(bytes: plain), plain.contains(where: { $0 != plain[0] }) else {
            throw CheckpointError(
                .locked, "the master key is one byte over and over",
                hint: "make a random one: head -c 32 /dev/urandom")
        }
        self.key = key
        let digits = Array("0123456789abcdef".utf8)
        id = String(
            decoding: key.derive(salt: [], for: Array("unlearnd master key id 1".utf8)).bytes.prefix(8)
                .flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    private static func digits(_ bytes: [UInt8]) throws -> [UInt8] {
        var text = bytes[...]
        if text.last == 0x0A { text = text.dropLast() }
        let values = text.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
        guard text.count == 2 * SealingKey.size, values.count == text.count else {
            throw CheckpointError(
                .locked,
                "the master key has \(bytes.count) bytes; it is 32 random bytes, or 64 hexadecimal digits",
                hint: "make one: head -c 32 /dev/urandom > FILE; chmod 600 FILE")
        }
        return stride(from: 0, to: values.count, by: 2).map { UInt8(values[$0] << 4 | values[$0 + 1]) }
    }

    /// The key of one writing of a ring; its salt is new with each.
    func ringKey(salt: [UInt8]) -> SealingKey {
        key.derive(salt: salt, for: Array("unlearnd key ring 1".utf8))
    }
}
