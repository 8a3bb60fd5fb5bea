// SPDX-License-Identifier: Apache-2.0

/// A hash table from byte strings to integers, with all keys in one buffer.
///
/// Swift strings compare by canonical equivalence, tokens compare by bytes: "é" written in one or in two
/// code points are different tokens. Open addressing with linear probing at a load of at most one half.
struct ByteStringTable: Sendable {
    private var bytes: [UInt8] = []
    private var starts: [Int32] = [0]
    private var values: [Int32] = []
    private var slots: [Int32]
    private var mask: Int

    init(minimumCapacity: Int) {
        var size = 16
        while size < 2 * minimumCapacity { size *= 2 }
        slots = [Int32](repeating: -1, count: size)
        mask = size - 1
    }

    var count: Int { values.count }
    /// The sum of the lengths of all keys.
    var byteCount: Int { bytes.count }

    /// FNV-1a over the bytes with a final mix, 64 bits.
    static func hash(_ bytes: borrowing Span<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for index in bytes.indices { hash = (hash ^ UInt64(bytes[index])) &* 0x0000_0100_0000_01B3 }
        hash ^= hash >> 32
        hash &*= 0x9E37_79B9_7F4A_7C15
        return hash ^ (hash >> 29)
    }

    private func slot(of key: borrowing Span<UInt8>) -> Int {
        var slot = Int(truncatingIfNeeded: Self.hash(key)) & mask
        while true {
            let entry = slots[slot]
            if entry < 0 { return slot }
            let start = Int(starts[Int(entry)])
            let end = Int(starts[Int(entry) + 1])
            if end - start == key.count {
                var offset = 0
                while offset < key.count, bytes[start + offset] == key[offset] { offset += 1 }
                if offset == key.count { return slot }
            }
            slot = (slot + 1) & mask
        }
    }

    /// The value of `key`.
    func find(_ key: borrowing Span<UInt8>) -> Int32? {
        let entry = slots[slot(of: key)]
        return entry < 0 ? nil : values[Int(entry)]
    }

    /// The value of `key`.
    func find(_ key: [UInt8]) -> Int32? { find(key.span) }

    /// Adds `key`; an existing value is replaced.
    mutating func insert(_ key: borrowing Span<UInt8>, _ value: Int32) {
        let place = slot(of: key)
        if slots[place] >= 0 {
            values[Int(slots[place])] = value
            return
        }
        slots[place] = Int32(values.count)
        for index in key.indices { bytes.append(key[index]) }
        starts.append(Int32(bytes.count))
        values.append(value)
        if 2 * values.count > slots.count { grow() }
    }

    private mutating func grow() {
        var larger = [Int32](repeating: -1, count: 2 * slots.count)
        mask = larger.count - 1
        for entry in values.indices {
            let hash = Self.hash(bytes.span.extracting(Int(starts[entry])..<Int(starts[entry + 1])))
            var slot = Int(truncatingIfNeeded: hash) & mask
            while larger[slot] >= 0 { slot = (slot + 1) & mask }
            larger[slot] = Int32(entry)
        }
        slots = larger
    }
}
