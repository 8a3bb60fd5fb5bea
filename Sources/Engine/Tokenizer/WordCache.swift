// SPDX-License-Identifier: Apache-2.0

/// The ids of words already merged. Bounded: when it is full it starts again empty, so hostile text costs
/// time, not memory.
struct WordCache: Sendable {
    /// Longer words are not kept.
    static let longestWord = 64
    private static let largest = 1 << 16

    private var words = ByteStringTable(minimumCapacity: 1024)
    private var ids: [Int32] = []
    private var ends: [Int32] = [0]

    /// Appends the ids of `word` to `output`; false when the word is not known.
    func append(_ word: borrowing Span<UInt8>, to output: inout [Int32]) -> Bool {
        guard let entry = words.find(word) else { return false }
        for index in Int(ends[Int(entry)])..<Int(ends[Int(entry) + 1]) { output.append(ids[index]) }
        return true
    }

    /// Keeps `output[start...]` as the ids of `word`.
    mutating func insert(_ word: borrowing Span<UInt8>, _ output: [Int32], from start: Int) {
        guard word.count <= Self.longestWord else { return }
        if words.count >= Self.largest { self = WordCache() }
        words.insert(word, Int32(words.count))
        for index in start..<output.count { ids.append(output[index]) }
        ends.append(Int32(ids.count))
    }
}
