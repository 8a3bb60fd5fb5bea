// SPDX-License-Identifier: Apache-2.0

extension Transformer {
    /// The next tokens of one of several texts that are continued together.
    package struct Continued: Sendable {
        /// Its row of the cache.
        package var row: Int
        package var tokens: [Int32]

        /// Tokens for a row.
        package init(row: Int, tokens: [Int32]) {
            self.row = row
            self.tokens = tokens
        }
    }

    /// The logits after each text's last token, (texts, V); the tokens' keys and values are added to the cache.
    ///
    /// A text's logits have the same bits whatever stands beside it, as long as each has one token and there are no
    /// more than ``ComputeContext/independentRows`` of them; texts with more tokens are given alone.
    /// - Throws: ``EngineError`` with `.invalidBatch`.
    package func logits(continuing texts: [Continued], _ cache: KeyValueCache) throws(EngineError) -> [Float]
    {
        var packed = try PackedBatch(
            runs: texts.map { (row: $0.row, tokens: $0.tokens, position: cache.lengths[$0.row]) },
            configuration: configuration)
        packed.predictors = packed.sequences.map { $0.start + $0.length - 1 }
        packed.targets = [Int32](repeating: 0, count: packed.predictors.count)
        let logits = try logits(packed, cache: cache)
        cache.advance(packed.sequences)
        return logits
    }
}
