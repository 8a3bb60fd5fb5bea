// SPDX-License-Identifier: Apache-2.0

/// Fills a new model's parameters as transformers would draw them: a function of the seed alone.
///
/// Weights are normal with deviation `initializer_range` (GPT-2's residual projections with that over √(2L)),
/// norms one, biases zero. Each run of 65536 values of a tensor has its own stream of random numbers, so that
/// values do not depend on the order of work.
package enum ParameterInitializer {
    /// Fills all of a model's parameters; of those that ranks share out each fills what it keeps, and all call it.
    package static func fill(_ model: Transformer, seed: UInt64) throws {
        try model.change {
            fill(
                model.parameters, model.table, seed: seed, context: model.context,
                using: { !model.kept(of: [$0]).isEmpty })
        }
    }

    /// Fills those of `parameters`, laid out by `table`, for which `isFilled` holds.
    ///
    /// - Parameter isUsed: Whether any values of a run are used: the others need not be made.
    package static func fill(
        _ parameters: FloatStorage, _ table: ParameterTable, seed: UInt64, context: ComputeContext,
        where isFilled: (ParameterTable.Entry) -> Bool = { _ in true },
        using isUsed: (Range<Int>) -> Bool = { _ in true }
    ) {
        precondition(
            parameters.count == table.count, "a buffer of \(parameters.count) values for \(table.count)")
        for (index, entry) in table.entries.enumerated() where isFilled(entry) {
            context.forBlocks(of: 1 << 16, in: entry.count) { block, _ in
                let start = entry.offset + block.lowerBound
                guard isUsed(start..<start + block.count) else { return }
                let stream = UInt64(index) << 40 | UInt64(block.lowerBound >> 16)
                let target = parameters.base + start
                switch entry.initial {
                case .zero: target.update(repeating: 0, count: block.count)
                case .one: target.update(repeating: 1, count: block.count)
                case .normal(let deviation):
                    var random = RandomSource(seed: seed, stream: stream)
                    for position in 0..<block.count { target[position] = Float(deviation * random.normal()) }
                case .uniform(let bound):
                    var random = RandomSource(seed: seed, stream: stream)
                    for position in 0..<block.count {
                        target[position] = Float(bound * (2 * random.uniform() - 1))
                    }
                }
            }
        }
    }
}
