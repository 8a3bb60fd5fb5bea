// SPDX-License-Identifier: Apache-2.0

/// A copy of a model's weights, to put them back after an attack.
package struct WeightBackup: Sendable {
    private let copy: FloatStorage

    /// Copies the weights.
    /// - Throws: ``EngineError`` with `.resources`.
    package init(_ model: Transformer) throws(EngineError) {
        copy = try model.makeBuffer()
        copy.base.update(from: model.parameters.base, count: copy.count)
    }

    /// Puts them back.
    package func restore(_ model: Transformer) {
        model.parameters.base.update(from: copy.base, count: copy.count)
    }
}
