// SPDX-License-Identifier: Apache-2.0

/// Cuts what arrives into lines, up to a length.
package struct LineReader {
    private var bytes: [UInt8] = []
    private var consumed = 0
    private var scanned = 0
    package let limit: Int

    /// A reader of lines of at most `limit` bytes without their line feed.
    package init(limit: Int) { self.limit = limit }

    /// Adds what arrived.
    package mutating func append(_ new: some Sequence<UInt8>) {
        if consumed > 1 << 16, consumed * 2 > bytes.count {
            bytes.removeFirst(consumed)
            scanned -= consumed
            consumed = 0
        }
        bytes.append(contentsOf: new)
    }

    /// The next whole line; `nil` when more must arrive first.
    package mutating func next() -> [UInt8]? {
        guard let end = bytes[scanned...].firstIndex(of: 0x0A) else {
            scanned = bytes.count
            return nil
        }
        defer {
            consumed = end + 1
            scanned = consumed
        }
        return Array(bytes[consumed..<end])
    }

    /// Whether the unfinished line is longer than any may be.
    package var isOverlong: Bool { bytes.count - consumed > limit }
}
