// SPDX-License-Identifier: Apache-2.0

/// Where a list of magnitudes is cut so that just the largest are kept; equals are kept in the order of their index.
///
/// A magnitude is an unsigned key: the bits of a non-negative IEEE 754 number are ordered as the numbers are, with
/// NaN above infinity.
struct MagnitudeCut<Key: FixedWidthInteger & UnsignedInteger & Sendable & BitwiseCopyable>: Sendable,
    Hashable,
    BitwiseCopyable
{
    /// Larger keys are kept.
    let key: Key
    /// Keys equal to ``key`` are kept up to this index.
    let limit: Int

    /// Whether the element `index` with this key is among the kept.
    func keeps(_ key: Key, at index: Int) -> Bool { key > self.key || key == self.key && index < limit }

    /// Everything or nothing is kept.
    init(all: Bool) {
        key = 0
        limit = all ? Int.max : 0
    }

    /// The exact cut that keeps `kept` of the keys that `scan` goes through, by radix selection 16 bits at a time: one
    /// pass for each, one more for where the equals end, and 512 KiB whatever the number of keys.
    ///
    /// - Parameter scan: Gives all keys in order, piece by piece, each time the same; called several times.
    /// - Throws: What `scan` throws.
    init(keeping kept: Int, scan: (_ body: (UnsafeBufferPointer<Key>) -> Void) throws -> Void) throws {
        guard kept > 0 else {
            // No key is larger than all ones, and no index is below zero.
            key = Key.max
            limit = 0
            return
        }
        var prefix: Key = 0
        var rest = kept
        for shift in stride(from: Key.bitWidth - 16, through: 0, by: -16) {
            var counts = [Int](repeating: 0, count: 1 << 16)
            // Bits above this digit that must be as found so far; none for the first.
            let fixed = shift + 16 < Key.bitWidth ? ~Key(0) << (shift + 16) : 0
            try scan { keys in
                counts.withUnsafeMutableBufferPointer { counts in
                    for key in keys where key & fixed == prefix { counts[Int(key >> shift & 0xFFFF)] += 1 }
                }
            }
            var digit = (1 << 16) - 1
            while digit > 0, counts[digit] < rest {
                rest -= counts[digit]
                digit -= 1
            }
            prefix |= Key(digit) << shift
        }
        key = prefix
        var seen = 0
        var at = 0
        var limit = 0
        try scan { keys in
            defer { at += keys.count }
            guard seen < rest else { return }
            for (index, key) in keys.enumerated() where key == prefix {
                seen += 1
                guard seen == rest else { continue }
                limit = at + index + 1
                return
            }
        }
        self.limit = limit
    }
}
