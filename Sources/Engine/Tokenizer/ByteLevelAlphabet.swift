// SPDX-License-Identifier: Apache-2.0

/// The bijection between the 256 bytes and printable characters under which byte-level vocabularies are
/// written (OpenAI GPT-2, `bytes_to_unicode`): printable Latin-1 stands for itself, the other bytes follow
/// from U+0100 in ascending order.
enum ByteLevelAlphabet {
    /// The character of each byte.
    static let scalars: [Unicode.Scalar] = {
        var scalars: [Unicode.Scalar] = []
        var next: UInt32 = 0x100
        for byte in UInt8.min...UInt8.max {
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF:
                scalars.append(Unicode.Scalar(byte))
            default:
                scalars.append(Unicode.Scalar(next) ?? "\u{100}")
                next += 1
            }
        }
        return scalars
    }()

    private static let bytes: [UInt8?] = {
        var bytes = [UInt8?](repeating: nil, count: 0x200)
        for (byte, scalar) in scalars.enumerated() { bytes[Int(scalar.value)] = UInt8(byte) }
        return bytes
    }()

    /// The bytes that `token` stands for, or `nil` when a character of it is not in the alphabet.
    static func decode(_ token: String) -> [UInt8]? {
        var result: [UInt8] = []
        result.reserveCapacity(token.utf8.count)
        for scalar in token.unicodeScalars {
            guard scalar.value < 0x200, let byte = bytes[Int(scalar.value)] else { return nil }
            result.append(byte)
        }
        return result
    }
}
