// SPDX-License-Identifier: Apache-2.0

/// What the blocks of one pass share: the batch, the weights, and the memory they work in.
struct BlockPass {
    let packed: PackedBatch
    let weights: UnsafePointer<Float>
    let activations: Activations
    /// Keys and values of the tokens before; without one every row begins at position 0.
    var cache: KeyValueCache?
    var observer: PassObserver?

    /// N.
    var tokens: Int { packed.tokens.count }

    /// The first N rows of a buffer, as an observer gets them.
    func observed(_ values: UnsafeMutablePointer<Float>, width: Int) -> PassObserver.Rows {
        PassObserver.Rows(sequences: packed.sequences, width: width, values: values, count: tokens)
    }
}
