// SPDX-License-Identifier: Apache-2.0

/// Where a long text may be cut without changing what its merges give.
///
/// Two neighbouring characters end up in one token only if some merge joins a token that ends with the first to one
/// that begins with the second. Where no merge does, the two sides are merged apart from each other in any case, so
/// a model that gets whole texts as one word (SentencePiece style) can work on short, cacheable parts.
struct MergeBoundaries: Sendable {
    private var joins: MergeTable

    /// - Parameter capacity: The number of merges.
    init(capacity: Int) { joins = MergeTable(capacity: capacity) }

    /// Notes a merge of two tokens, given by their bytes, neither of them empty.
    mutating func insert(_ left: [UInt8], _ right: [UInt8]) {
        let last = UTF8Scanner.start(ofCharacterBefore: left.count, in: left.span)
        joins.insert(
            Int32(bitPattern: UTF8Scanner.decode(left.span, at: last).scalar),
            Int32(bitPattern: UTF8Scanner.decode(right.span, at: 0).scalar), rank: 0, id: 0)
    }

    /// The end of the part of `text` that starts at `start`: the first place, at least one character on, that no
    /// merge crosses. `isKnown` tells whether the character in a range is a token; text is cut only after such,
    /// because unknown characters may be fused.
    func partEnd(
        in text: borrowing Span<UInt8>, from start: Int, isKnown: (Range<Int>) -> Bool
    ) -> Int {
        var position = start
        var (left, length) = UTF8Scanner.decode(text, at: position)
        while position + length < text.count {
            let next = position + length
            let (right, rightLength) = UTF8Scanner.decode(text, at: next)
            let joined = joins.merge(Int32(bitPattern: left), Int32(bitPattern: right)) != .max
            if !joined, isKnown(position..<next) { return next }
            (position, left, length) = (next, right, rightLength)
        }
        return text.count
    }
}
