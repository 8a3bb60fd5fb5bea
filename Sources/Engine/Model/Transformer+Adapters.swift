// SPDX-License-Identifier: Apache-2.0

/// Low-rank adapters of a model's projections.
extension Transformer {
    /// Whether the model has adapters.
    package var hasAdapters: Bool { table.entries.contains(where: \.isAdapter) }

    /// Draws new adapters as PEFT does: A uniform (Kaiming, a = √5), B zero, so that they change nothing yet.
    package func initializeAdapters(seed: UInt64) {
        ParameterInitializer.fill(
            parameters, table, seed: seed, context: context, where: \.isAdapter)
    }

    /// Adds the adapters to the matrices that they belong to, in f32, and sets their B to zero.
    package func mergeAdapters() {
        for linear in layout.projections {
            if let adapter = linear.adapter { linear.merge(adapter, context, parameters.base) }
        }
    }

    /// A second set of weights to compare with while this model is trained: a copy of the present ones. The
    /// frozen weights of a model with adapters are their own reference, and no copy is made.
    ///
    /// - Throws: ``EngineError`` with `.resources`.
    package func makeReference() throws(EngineError) -> FloatStorage {
        if hasAdapters { return parameters }
        let copy = try makeBuffer()
        copy.base.update(from: parameters.base, count: copy.count)
        return copy
    }

    /// Runs `body` with the weights of a reference: where that is the model's own, as if it had no adapters.
    func withReference<Result>(
        _ reference: FloatStorage, _ body: () throws(EngineError) -> Result
    ) throws(EngineError) -> Result {
        guard reference === parameters else { return try body() }
        let matrices = layout.projections.compactMap { linear in
            linear.adapter.map { $0.b..<$0.b + linear.outputs * $0.rank }
        }
        let kept = matrices.map { parameters.values($0) }
        parameters.clear(matrices)
        defer {
            for (range, values) in zip(matrices, kept) {
                (parameters.base + range.lowerBound).update(from: values, count: values.count)
            }
        }
        return try body()
    }
}
