// SPDX-License-Identifier: Apache-2.0

/// Decoding of valid UTF-8 in a byte buffer. Reads never leave the buffer, whatever the bytes are.
enum UTF8Scanner {
    /// How many bytes a character takes by its first byte (1 for a byte that cannot come first).
    static func length(ofLead byte: UInt8) -> Int {
        byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4
    }

    /// The code point at `position` and its length in bytes.
    static func decode(_ bytes: borrowing Span<UInt8>, at position: Int) -> (scalar: UInt32, length: Int) {
        let lead = bytes[position]
        if lead < 0x80 { return (UInt32(lead), 1) }
        let length = min(length(ofLead: lead), bytes.count - position)
        var scalar = UInt32(lead) & (0x7F >> UInt32(length))
        for offset in 1..<max(1, length) { scalar = scalar << 6 | UInt32(bytes[position + offset] & 0x3F) }
        return (scalar, length)
    }

    /// Where the character that ends before `position` starts.
    static func start(ofCharacterBefore position: Int, in bytes: borrowing Span<UInt8>) -> Int {
        var start = position - 1
        while start > 0, bytes[start] & 0xC0 == 0x80 { start -= 1 }
        return max(0, start)
    }
}
