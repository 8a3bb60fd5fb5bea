// SPDX-License-Identifier: Apache-2.0

/// One row's run of packed tokens.
package struct TokenRun: Sendable, Hashable {
    /// Its row of the batch.
    package var row: Int
    /// Its first packed token.
    package var start: Int
    /// How many there are.
    package var length: Int
    /// The position of its first token in the model's context.
    package var position: Int
}
