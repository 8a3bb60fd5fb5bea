// SPDX-License-Identifier: Apache-2.0

/// Which values of a flat buffer each rank owns: sums their gradients, holds their moments, and moves them.
///
/// What is trained is cut into as many runs of nearly equal length as there are ranks, or each block of it for itself; a
/// function of ranges and count alone.
package struct RankSlices: Sendable, Hashable {
    /// Values that no cut parts: a cache line.
    private static let unit = 16

    /// The ranges of each rank, ascending.
    private let slices: [[Range<Int>]]

    /// Cuts `ranges` for `count` ranks.
    package init(_ ranges: [Range<Int>], count: Int) {
        let total = ranges.reduce(0) { $0 + $1.count }
        let units = (total + Self.unit - 1) / Self.unit
        slices = (0..<count).map { rank in
            let own =
                min(
                    total, units * rank / count * Self.unit)..<min(
                    total, units * (rank + 1) / count * Self.unit)
            var start = 0
            return ranges.compactMap { range in
                defer { start += range.count }
                let part = own.clamped(to: start..<start + range.count)
                guard !part.isEmpty else { return nil }
                let shift = range.lowerBound - start
                return part.lowerBound + shift..<part.upperBound + shift
            }
        }
    }

    /// Cuts each block for itself, at whole small pages, so that memory is held in whole ones. Of short blocks some ranks
    /// own nothing.
    init(blocks: [Range<Int>], count: Int) {
        let page = 1024
        slices = (0..<count).map { rank in
            blocks.compactMap { block in
                func cut(_ rank: Int) -> Int {
                    let place = block.lowerBound + block.count * rank / count
                    return rank == 0 ? place : min(block.upperBound, (place + page - 1) / page * page)
                }
                let own = cut(rank)..<cut(rank + 1)
                return own.isEmpty ? nil : own
            }
        }
    }

    /// Of `ranges` what each rank has of the blocks of `plan`, and a slice of what lies in no block.
    init(_ ranges: [Range<Int>], _ plan: ShardPlan) {
        let rest = RankSlices(plan.whole(of: ranges), count: plan.slices.slices.count)
        slices = rest.slices.enumerated().map { rank, rest in
            (rest + ranges.flatMap { plan.slices.owned(by: rank, of: $0) })
                .sorted { $0.lowerBound < $1.lowerBound }
        }
    }

    /// What a rank owns.
    package subscript(rank: Int) -> [Range<Int>] { slices[rank] }

    /// The same in pieces of at most `size` values.
    func pieces(of rank: Int, size: Int) -> [Range<Int>] {
        slices[rank].flatMap { range in
            stride(from: range.lowerBound, to: range.upperBound, by: size).map {
                $0..<min($0 + size, range.upperBound)
            }
        }
    }

    /// What a rank owns of `range`.
    func owned(by rank: Int, of range: Range<Int>) -> [Range<Int>] {
        slices[rank].compactMap { own in
            let part = own.clamped(to: range)
            return part.isEmpty ? nil : part
        }
    }
}
