// SPDX-License-Identifier: Apache-2.0

/// Which parameters the ranks share out (`--shard-parameters`): those of the blocks, of each of which a rank keeps its slice.
/// What lies in no block (embeddings, the last norm, the head, adapters) every rank keeps whole.
package struct ShardPlan: Sendable, Hashable {
    /// Where the parameters of each block lie in the flat buffer.
    package let blocks: [Range<Int>]
    /// What each rank keeps of the blocks.
    let slices: RankSlices
    private let count: Int

    /// The plan for parameters laid out by `table`: a function of the table and the number of ranks.
    package init(_ table: ParameterTable, ranks: Int) {
        var blocks: [Range<Int>] = []
        for (index, entry) in table.entries.enumerated() where !entry.isAdapter {
            guard let layer = entry.layer else { continue }
            // With the gap behind it, which is nothing but zeros.
            let end = index + 1 < table.entries.count ? table.entries[index + 1].offset : table.count
            if layer < blocks.count {
                precondition(blocks[layer].upperBound == entry.offset, "a block's parameters lie together")
                blocks[layer] = blocks[layer].lowerBound..<end
            } else {
                precondition(layer == blocks.count, "blocks come in order")
                blocks.append(entry.offset..<end)
            }
        }
        self.blocks = blocks
        slices = RankSlices(blocks: blocks, count: ranks)
        count = table.count
    }

    /// The longest block, values.
    package var longest: Int { blocks.lazy.map(\.count).max() ?? 0 }

    /// How many values lie in blocks.
    package var shared: Int { blocks.reduce(0) { $0 + $1.count } }

    /// Of `ranges` what lies in no block.
    func whole(of ranges: [Range<Int>]) -> [Range<Int>] {
        var rest: [Range<Int>] = []
        var start = 0
        for block in blocks + [count..<count] {
            rest.append(start..<block.lowerBound)
            start = block.upperBound
        }
        return ranges.flatMap { range in
            rest.compactMap { part in
                let common = range.clamped(to: part)
                return common.isEmpty ? nil : common
            }
        }
    }

    /// Of `range` what a rank keeps: its slices, and all that lies in no block.
    package func kept(by rank: Int, of range: Range<Int>) -> [Range<Int>] {
        (whole(of: [range]) + slices.owned(by: rank, of: range)).sorted { $0.lowerBound < $1.lowerBound }
    }

    /// Of `range` what other ranks keep and this one does not.
    package func missing(in rank: Int, of range: Range<Int>) -> [Range<Int>] {
        var missing: [Range<Int>] = []
        var start = range.lowerBound
        for kept in kept(by: rank, of: range) + [range.upperBound..<range.upperBound] {
            if start < kept.lowerBound { missing.append(start..<kept.lowerBound) }
            start = kept.upperBound
        }
        return missing
    }
}
