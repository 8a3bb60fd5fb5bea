// SPDX-License-Identifier: Apache-2.0

extension Transformer {
    /// Runs `body` with a copy of the weights on the context's card, if it has one: labels are scored there meanwhile.
    ///
    /// The weights must not change before `body` returns.
    /// - Throws: ``EngineError`` of the card; what `body` throws.
    package func onCard<Result>(_ body: () throws -> Result) throws -> Result {
        guard card == nil, let device = context.card else { return try body() }
        card = try CUDAModel(device, self, training: false)
        defer { card = nil }
        return try body()
    }
}
