// SPDX-License-Identifier: Apache-2.0

/// A stretch of normalised text cut into consecutive pieces; pre-tokenizers cut it further.
struct Pieces {
    /// The text. Once ``isByteMapped`` is set, each byte stands for its character in the byte-level alphabet.
    private(set) var bytes: [UInt8]
    /// Where each piece ends; the first starts at 0.
    private(set) var ends: [Int]
    /// Whether the text has been through the byte-level mapping.
    var isByteMapped = false
    /// Whether the stretch begins where the whole input begins.
    let startsInput: Bool

    init(_ bytes: [UInt8], startsInput: Bool) {
        self.bytes = bytes
        ends = bytes.isEmpty ? [] : [bytes.count]
        self.startsInput = startsInput
    }

    /// The code point at `position` as a pre-tokenizer sees it, and its length in bytes.
    func scalar(at position: Int) -> (scalar: UInt32, length: Int) {
        if isByteMapped { return (ByteLevelAlphabet.scalars[Int(bytes[position])].value, 1) }
        return UTF8Scanner.decode(bytes.span, at: position)
    }

    /// Cuts every piece. `cut` gets a piece's bounds and appends the ends of its parts, the last of them
    /// the end of the piece; empty parts are dropped.
    mutating func cut(_ cut: (borrowing Pieces, Range<Int>, inout [Int]) -> Void) {
        var result: [Int] = []
        result.reserveCapacity(ends.count)
        var start = 0
        for end in ends {
            cut(self, start..<end, &result)
            start = end
        }
        ends = result
    }

    /// Rewrites every piece; `edit` gets its bytes and whether it is the first.
    mutating func rewrite(_ edit: (ArraySlice<UInt8>, Bool) -> [UInt8]) {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count + ends.count)
        var start = 0
        for index in ends.indices {
            let end = ends[index]
            output.append(contentsOf: edit(bytes[start..<end], index == 0))
            ends[index] = output.count
            start = end
        }
        bytes = output
    }
}
