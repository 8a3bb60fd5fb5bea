// SPDX-License-Identifier: Apache-2.0

/// The percentile bootstrap (Efron, 1979) of the area under a ROC curve.
///
/// Members and others are drawn anew with replacement, each among themselves, and the area is taken again. The
/// draws come from ``RandomSource``, so that the interval is a function of scores and seed.
package enum Bootstrap {
    /// The 2.5th and 97.5th percentile (nearest rank) of `rounds` areas.
    ///
    /// - Parameters: Lists that are not empty and hold no NaN.
    /// - Complexity: O(`rounds` · *n*) after one sort of all scores.
    package static func interval(
        members: [Double], others: [Double], rounds: Int = 1000, seed: UInt64 = 0
    ) -> ClosedRange<Double> {
        precondition(rounds > 0, "a bootstrap needs rounds")
        // The place of each distinct value stands for the value: an area depends on the order alone.
        let values = Set(members + others).sorted()
        let places = Dictionary(uniqueKeysWithValues: values.enumerated().map { ($1, $0) })
        let memberPlaces = members.map { places[$0] ?? 0 }
        let otherPlaces = others.map { places[$0] ?? 0 }
        var random = RandomSource(seed: seed, stream: stream)
        var areas: [Double] = []
        areas.reserveCapacity(rounds)
        for _ in 0..<rounds {
            let drawnMembers = draw(memberPlaces, values.count, &random)
            let drawnOthers = draw(otherPlaces, values.count, &random)
            var (halfPoints, above) = (0, others.count)
            for (member, other) in zip(drawnMembers, drawnOthers) {
                above -= other
                halfPoints += member * (2 * above + other)
            }
            areas.append(Double(halfPoints) / Double(2 * members.count * others.count))
        }
        areas.sort()
        let tail = rounds / 40
        return areas[tail]...areas[max(tail, rounds - 1 - tail)]
    }

    /// "BOOT": apart from the streams that order data.
    private static let stream: UInt64 = 0x424F_4F54

    /// How often each value comes up in as many draws as there are places.
    private static func draw(_ places: [Int], _ count: Int, _ random: inout RandomSource) -> [Int] {
        var counts = [Int](repeating: 0, count: count)
        for _ in places.indices { counts[places[Int(random.below(UInt64(places.count)))]] += 1 }
        return counts
    }
}
