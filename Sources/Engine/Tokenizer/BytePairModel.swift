// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Byte-pair encoding of one word (Sennrich et al., arXiv 1508.07909) as Hugging Face `tokenizers` does it:
/// the merge of lowest rank first, the leftmost of equals first.
///
/// Words are byte strings. In a byte-level model each byte is a first symbol; otherwise each character is,
/// with `<0xNN>` tokens for the bytes of characters that the vocabulary lacks (`byte_fallback`).
struct BytePairModel: Sendable {
    /// Larger ids are refused: they would only make a small hostile file take much memory.
    static let largestID: Int32 = 1 << 24
    /// Words of up to this many symbols are merged by scanning, longer ones with a heap.
    private static let scanLimit = 40

    private let vocabulary: Vocabulary
    private let merges: MergeTable
    /// `nil` where words are cut before they come here, or where the argument does not hold.
    private let boundaries: MergeBoundaries?
    /// Byte-level: the words that are one token whatever the merges say. Otherwise all tokens.
    private let words: ByteStringTable
    private let ignoreMerges: Bool
    private let isByteLevel: Bool
    /// The token of each single byte (`-1`: none): of the byte itself, or its fallback `<0xNN>`.
    private let byteTokens: [Int32]
    private let unknown: Int32?
    private let fusesUnknown: Bool
    private let hasByteFallback: Bool

    init(_ model: TokenizerFields, byteLevel: Bool) throws(TokenizerError) {
        for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
            if let text = try model.optionalString(key), !text.isEmpty {
                throw .unsupported("\(model.place).\(key) is “\(text)”", supported: "BPE without affixes")
            }
        }
        switch model.optional("dropout") {
        case nil, .integer(0), .number(0): break
        default:
            throw .unsupported(
                "\(model.place).dropout would make ids random", supported: "BPE without dropout")
        }
        let vocabulary = try Vocabulary(model, largestID: Self.largestID)
        self.vocabulary = vocabulary
        isByteLevel = byteLevel
        ignoreMerges = try model.bool("ignore_merges", default: false)
        fusesUnknown = try model.bool("fuse_unk", default: false)
        let fallsBack = try model.bool("byte_fallback", default: false)
        hasByteFallback = fallsBack && !byteLevel
        if let token = try model.optionalString("unk_token") {
            guard let id = vocabulary.id(of: token) else {
                throw .invalid("\(model.place).unk_token “\(token)” is not in the vocabulary")
            }
            unknown = id
        } else {
            unknown = nil
        }
        let pairs = try Self.readMerges(model, vocabulary)
        var merges = MergeTable(capacity: pairs.count)
        for (rank, pair) in pairs.enumerated() {
            merges.insert(pair.ids.left, pair.ids.right, rank: Int32(rank), id: pair.ids.merged)
        }
        self.merges = merges
        if byteLevel {
            var table = ByteStringTable(minimumCapacity: vocabulary.count)
            var single = [Int32](repeating: -1, count: 256)
            for (token, id) in vocabulary.entries {
                guard let bytes = ByteLevelAlphabet.decode(token), !bytes.isEmpty else { continue }
                if bytes.count == 1 { single[Int(bytes[0])] = id }
                table.insert(bytes.span, id)
            }
            words = table
            byteTokens = single
            boundaries = nil
        } else {
            words = vocabulary.table
            let byteTokens = (0..<256).map { byte in
                let digits = String(byte, radix: 16, uppercase: true)
                return vocabulary.id(of: "<0x\(byte < 16 ? "0" : "")\(digits)>") ?? -1
            }
            self.byteTokens = byteTokens
            boundaries = Self.boundaries(pairs, vocabulary, Set(byteTokens).union(unknown.map { [$0] } ?? []))
        }
    }

    /// One merge: the tokens' bytes and ids.
    private struct Merge {
        let left: [UInt8]
        let right: [UInt8]
        let ids: (left: Int32, right: Int32, merged: Int32)
    }

    /// The boundaries, where a token's characters are all that its merges depend on: with ids that are unique and
    /// symbols that are characters, not those in `reserved`.
    private static func boundaries(
        _ merges: [Merge], _ vocabulary: Vocabulary, _ reserved: Set<Int32>
    ) -> MergeBoundaries? {
        guard Set(vocabulary.entries.lazy.map(\.id)).count == vocabulary.count else { return nil }
        var boundaries = MergeBoundaries(capacity: merges.count)
        for merge in merges {
            let ids = [merge.ids.left, merge.ids.right, merge.ids.merged]
            guard !merge.left.isEmpty, !merge.right.isEmpty, reserved.isDisjoint(with: ids) else {
                return nil
            }
            boundaries.insert(merge.left, merge.right)
        }
        return boundaries
    }

    private static func readMerges(
        _ model: TokenizerFields, _ vocabulary: Vocabulary
    ) throws(TokenizerError) -> [Merge] {
        let list = try model.array("merges")
        var merges: [Merge] = []
        merges.reserveCapacity(list.count)
        for (index, entry) in list.enumerated() {
            let left: [UInt8]
            let right: [UInt8]
            switch entry {
            case .string(let line):
                if line.utf8.starts(with: "#version".utf8) { continue }
                let parts = Array(line.utf8).split(separator: 0x20, omittingEmptySubsequences: false)
                guard parts.count == 2 else {
                    throw .invalid("\(model.place).merges[\(index)] is not two tokens with a space between")
                }
                (left, right) = (Array(parts[0]), Array(parts[1]))
            case .array(let pair):
                guard pair.count == 2, case .string(let first) = pair[0], case .string(let second) = pair[1]
                else { throw .invalid("\(model.place).merges[\(index)] is not a pair of tokens") }
                (left, right) = (Array(first.utf8), Array(second.utf8))
            default:
                throw .invalid("\(model.place).merges[\(index)] is not a pair of tokens")
            }
            guard let leftID = vocabulary.table.find(left), let rightID = vocabulary.table.find(right),
                let merged = vocabulary.table.find(left + right)
            else {
                throw .invalid("\(model.place).merges[\(index)] uses a token that is not in the vocabulary")
            }
            merges.append(Merge(left: left, right: right, ids: (leftID, rightID, merged)))
        }
        return merges
    }

    /// The id of a token as the file writes it.
    func id(of token: String) -> Int32? { vocabulary.id(of: token) }
    /// The tokens and their ids.
    var entries: [(token: String, id: Int32)] { vocabulary.entries }

    /// Appends the ids of one word.
    func encode(_ word: borrowing Span<UInt8>, _ session: inout TokenizerSession, into output: inout [Int32])
    {
        guard word.count > 0 else { return }
        if ignoreMerges, let id = words.find(word) {
            output.append(id)
            return
        }
        guard let boundaries, word.count > WordCache.longestWord else {
            encodePart(word, &session, into: &output)
            return
        }
        var start = 0
        while start < word.count {
            let end = boundaries.partEnd(in: word, from: start) { words.find(word.extracting($0)) != nil }
            encodePart(word.extracting(start..<end), &session, into: &output)
            start = end
        }
    }

    private func encodePart(
        _ word: borrowing Span<UInt8>, _ session: inout TokenizerSession, into output: inout [Int32]
    ) {
        if session.cache.append(word, to: &output) { return }
        let start = output.count
        appendSymbols(of: word, to: &output)
        if output.count - start <= Self.scanLimit {
            mergeByScan(&output, from: start, &session.ranks)
        } else {
            mergeByHeap(&output, from: start)
        }
        session.cache.insert(word, output, from: start)
    }

    private func appendSymbols(of word: borrowing Span<UInt8>, to output: inout [Int32]) {
        var pendingUnknown = false
        var position = 0
        while position < word.count {
            let length = isByteLevel ? 1 : UTF8Scanner.length(ofLead: word[position])
            let end = min(position + length, word.count)
            defer { position = end }
            let id =
                isByteLevel
                ? byteTokens[Int(word[position])]
                : words.find(word.extracting(position..<end)) ?? -1
            if id >= 0 {
                if pendingUnknown, let unknown { output.append(unknown) }
                pendingUnknown = false
                output.append(id)
                continue
            }
            if hasByteFallback, (position..<end).allSatisfy({ byteTokens[Int(word[$0])] >= 0 }) {
                // A pending unknown token stays behind these bytes, as in the reference implementation.
                for offset in position..<end { output.append(byteTokens[Int(word[offset])]) }
                continue
            }
            if pendingUnknown, !fusesUnknown, let unknown { output.append(unknown) }
            pendingUnknown = unknown != nil
        }
        if pendingUnknown, let unknown { output.append(unknown) }
    }

    private func mergeByScan(_ symbols: inout [Int32], from start: Int, _ ranks: inout [UInt64]) {
        ranks.removeAll(keepingCapacity: true)
        guard symbols.count - start > 1 else { return }
        for index in start..<(symbols.count - 1) {
            ranks.append(merges.merge(symbols[index], symbols[index + 1]))
        }
        while true {
            var best = UInt64.max
            var place = 0
            for index in ranks.indices where ranks[index] < best {
                best = ranks[index]
                place = index
            }
            guard best != .max else { return }
            symbols[start + place] = Int32(truncatingIfNeeded: best)
            symbols.remove(at: start + place + 1)
            ranks.remove(at: place)
            if place < ranks.count {
                ranks[place] = merges.merge(symbols[start + place], symbols[start + place + 1])
            }
            if place > 0 {
                ranks[place - 1] = merges.merge(symbols[start + place - 1], symbols[start + place])
            }
        }
    }

    /// O(*n* log *n*): a heap of `rank << 32 | position` over a linked list of symbols. Entries are not
    /// removed when they become stale; they no longer agree with the list when they come up.
    private func mergeByHeap(_ symbols: inout [Int32], from start: Int) {
        let count = symbols.count - start
        var next = (0..<count).map { Int32($0 + 1) }
        var previous = (0..<count).map { Int32($0 - 1) }
        var heap = MinimumHeap()
        func push(_ position: Int) {
            let right = Int(next[position])
            guard right < count else { return }
            let merge = merges.merge(symbols[start + position], symbols[start + right])
            if merge != .max { heap.push((merge >> 32) << 32 | UInt64(position)) }
        }
        for position in 0..<(count - 1) { push(position) }
        while let entry = heap.pop() {
            let position = Int(entry & 0xFFFF_FFFF)
            let right = Int(next[position])
            guard symbols[start + position] >= 0, right < count else { continue }
            let merge = merges.merge(symbols[start + position], symbols[start + right])
            guard merge != .max, merge >> 32 == entry >> 32 else { continue }
            symbols[start + position] = Int32(truncatingIfNeeded: merge)
            symbols[start + right] = -1
            next[position] = next[right]
            if Int(next[right]) < count { previous[Int(next[right])] = Int32(position) }
            push(position)
            if previous[position] >= 0 { push(Int(previous[position])) }
        }
        var write = start
        for read in start..<symbols.count where symbols[read] >= 0 {
            symbols[write] = symbols[read]
            write += 1
        }
        symbols.removeLast(symbols.count - write)
    }
}
