// SPDX-License-Identifier: Apache-2.0

/// Cuts a stream of bytes into lines of bounded length.
package struct LineSplitter {
    /// A line is longer than allowed.
    package struct TooLong: Error {}

    let limit: Int
    private var pending: [UInt8] = []

    /// A splitter for lines of at most `limit` bytes.
    package init(limit: Int) { self.limit = limit }

    /// Takes more bytes and returns the lines that they complete, without their line feeds.
    package mutating func append(_ bytes: some Sequence<UInt8>) throws(TooLong) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        for byte in bytes {
            if byte == 0x0A {
                lines.append(pending)
                pending = []
            } else {
                guard pending.count < limit else { throw TooLong() }
                pending.append(byte)
            }
        }
        return lines
    }
}
