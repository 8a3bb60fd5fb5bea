// SPDX-License-Identifier: Apache-2.0

/// A packed batch as the kernels read it: one run of integers, copied to the card at once.
struct CUDABatch {
    /// The values of a kind and where they begin.
    struct Part {
        var place: CUDAIntegers
        var count: Int
    }

    /// Rows of an embedding's table that get gradients: each id once, and which rows of the stream have it, in order.
    struct Scatter {
        var ids: Part
        var order: Part
        var starts: Part
    }

    let tokens: Part
    let positions: Part
    /// The packed token before each label, and the labels.
    let predictors: Part
    let targets: Part
    /// For each packed token which label it predicts, or -1.
    let sources: Part
    /// Start, length and first row of each tile of attention; those with the most to do first.
    let tiles: Part
    let tokenScatter: Scatter
    let positionScatter: Scatter

    /// - Parameter skipped: The id whose embedding gets no gradient.
    init(
        _ packed: PackedBatch, skipping skipped: Int32?, _ card: CUDACard, into target: CUDAIntegers,
        capacity: Int
    ) throws(EngineError) {
        var values: [Int32] = []
        func add(_ part: [Int32]) -> Part {
            defer { values += part }
            return Part(place: target + values.count, count: part.count)
        }
        tokens = add(packed.tokens)
        positions = add(packed.positions)
        predictors = add(packed.predictors.map(Int32.init))
        targets = add(packed.targets)
        var sources = [Int32](repeating: -1, count: packed.tokens.count)
        for (index, place) in packed.predictors.enumerated() { sources[place] = Int32(index) }
        self.sources = add(sources)
        var tiles: [(start: Int, length: Int, first: Int)] = []
        for sequence in packed.sequences {
            for first in stride(from: 0, to: sequence.length, by: CUDAPlan.tile) {
                tiles.append((sequence.start, sequence.length, first))
            }
        }
        tiles.sort { ($0.first, $1.start) > ($1.first, $0.start) }
        self.tiles = add(tiles.flatMap { [Int32($0.start), Int32($0.length), Int32($0.first)] })
        func scatter(_ ids: [Int32], skipping skipped: Int32?) -> Scatter {
            var rows = ids.indices.filter { ids[$0] != skipped }
            rows.sort { (ids[$0], $0) < (ids[$1], $1) }
            var unique: [Int32] = []
            var starts: [Int32] = []
            for (place, row) in rows.enumerated() where unique.last != ids[row] {
                unique.append(ids[row])
                starts.append(Int32(place))
            }
            starts.append(Int32(rows.count))
            return Scatter(ids: add(unique), order: add(rows.map(Int32.init)), starts: add(starts))
        }
        tokenScatter = scatter(packed.tokens, skipping: skipped)
        positionScatter = scatter(packed.positions, skipping: nil)
        precondition(values.count <= capacity, "a batch has \(values.count) integers, not \(capacity)")
        let copied = values
        let result = copied.withUnsafeBufferPointer { values in
            Result { () throws(EngineError) in try card.upload(values, to: target.address) }
        }
        try result.get()
    }
}
