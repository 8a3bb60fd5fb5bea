// SPDX-License-Identifier: Apache-2.0

/// Which values of a flat buffer each rank owns: sums their gradients, holds their moments, and moves them.
///
/// What is trained is cut into as many runs of nearly equal length as there are ranks; a function of ranges and count
/// alone.
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
