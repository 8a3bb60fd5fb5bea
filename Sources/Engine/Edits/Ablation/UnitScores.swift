// SPDX-License-Identifier: Apache-2.0

/// How much each unit of a network carries what the model says to a set of rows.
package struct UnitScores: Sendable, Hashable {
    /// The attribution of a unit: (layers, units of the kind), row-major, for each kind that was asked for. In
    /// log-odds (nats) per labelled token: the first-order loss without the unit.
    package var values: [AblationUnit.Kind: [Double]]
    /// The same with each row's attribution taken without its sign: what switching the unit off moves, either way.
    package var sizes: [AblationUnit.Kind: [Double]]
    /// Means over all tokens of what the projection behind reads: (layers, units · width).
    package var means: [AblationUnit.Kind: [Double]]

    /// Zero for every unit of a model.
    init(_ configuration: ModelConfiguration, kinds: Set<AblationUnit.Kind>) {
        func zeros(_ perUnit: (AblationUnit.Kind) -> Int) -> [AblationUnit.Kind: [Double]] {
            Dictionary(
                uniqueKeysWithValues: kinds.map { kind in
                    let count = configuration.layers * configuration.units(kind) * perUnit(kind)
                    return (kind, [Double](repeating: 0, count: count))
                })
        }
        values = zeros { _ in 1 }
        sizes = zeros { _ in 1 }
        means = zeros { configuration.unitWidth($0) }
    }
}

/// The units in the order in which they are to be switched off.
package struct UnitRanking: Sendable, Hashable {
    /// A unit with what it was ranked by.
    package struct Entry: Sendable, Hashable {
        package var unit: AblationUnit
        /// `forget − weight · retain`.
        package var score: Double
        /// What switching it off moves on the forget set, either way, per labelled token; without a retain set what it
        /// takes away.
        package var forget: Double
        /// What switching it off moves on the retain set, either way, per labelled token.
        package var retain: Double
    }

    /// Units that carry the forget set more than they carry the retain set, best first; equals by place.
    package let entries: [Entry]
    /// How many units were looked at.
    package let candidates: Int

    /// Ranks by `|forget| − weight · |retain|`, and by `forget` where nothing is retained.
    ///
    /// Sizes on both sides: with the sign kept on one alone, a unit that moves every row as much has a score below 0
    /// whenever rows disagree about the direction. A difference and not a ratio: a ratio prefers units that matter to
    /// neither set.
    package init(
        _ configuration: ModelConfiguration, forget: UnitScores, retain: UnitScores?,
        retainWeight weight: Double
    ) {
        var entries: [Entry] = []
        var candidates = 0
        for (kind, values) in forget.values {
            let perLayer = configuration.units(kind)
            candidates += values.count
            for (place, value) in values.enumerated() {
                let carried = retain == nil ? value : forget.sizes[kind]?[place] ?? 0
                let kept = retain?.sizes[kind]?[place] ?? 0
                let score = carried - weight * kept
                guard score > 0 else { continue }
                entries.append(
                    Entry(
                        unit: AblationUnit(kind, layer: place / perLayer, index: place % perLayer),
                        score: score, forget: carried, retain: kept))
            }
        }
        self.entries = entries.sorted { ($1.score, $0.unit) < ($0.score, $1.unit) }
        self.candidates = candidates
    }
}
