// SPDX-License-Identifier: Apache-2.0

/// The merges of a byte-pair model: a pair of token ids → its rank and the id of the merged token.
struct MergeTable: Sendable {
    private var keys: [UInt64]
    private var merges: [UInt64]
    private let mask: Int
    private static let empty = UInt64.max

    init(capacity: Int) {
        var size = 16
        while size < 2 * (capacity + 1) { size *= 2 }
        keys = [UInt64](repeating: Self.empty, count: size)
        merges = [UInt64](repeating: 0, count: size)
        mask = size - 1
    }

    private func slot(of key: UInt64) -> Int {
        var hash = key &* 0x9E37_79B9_7F4A_7C15
        hash ^= hash >> 32
        var slot = Int(truncatingIfNeeded: hash) & mask
        while keys[slot] != key, keys[slot] != Self.empty { slot = (slot + 1) & mask }
        return slot
    }

    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    /// The merge of the pair as `rank << 32 | id`, or `UInt64.max` when the pair never merges. Comparing
    /// two such numbers compares ranks.
    func merge(_ left: Int32, _ right: Int32) -> UInt64 {
        let slot = slot(of: Self.key(left, right))
        return keys[slot] == Self.empty ? .max : merges[slot]
    }

    /// Adds a merge; a pair listed twice keeps its last rank, as in the reference implementation.
    mutating func insert(_ left: Int32, _ right: Int32, rank: Int32, id: Int32) {
        let key = Self.key(left, right)
        let slot = slot(of: key)
        keys[slot] = key
        merges[slot] = UInt64(UInt32(bitPattern: rank)) << 32 | UInt64(UInt32(bitPattern: id))
    }
}
