// SPDX-License-Identifier: Apache-2.0

/// What a caller may see of a pass, and change in it. Nothing is done for what is `nil`.
///
/// With this, methods reach into the network without being part of it: which neurons and heads carry a loss
/// (activation times gradient), what a layer knows (a probe of the residual stream), steering (adding to it).
/// All are called on the caller's thread, between operations.
package struct PassObserver {
    /// A matrix of activations or gradients, one row for each token of the batch that is not padding.
    ///
    /// Valid during the call alone. A row of the batch is kept up to the last position that predicts a label.
    package struct Rows {
        /// The rows of the batch that were kept: each one's index in the batch, and its run of matrix rows.
        package let sequences: [TokenRun]
        /// Values of one token.
        package let width: Int
        /// (count, width), row-major.
        package let values: UnsafeMutablePointer<Float>
        /// N, the number of tokens.
        package let count: Int

        /// All values.
        package var buffer: UnsafeMutableBufferPointer<Float> {
            UnsafeMutableBufferPointer(start: values, count: count * width)
        }
    }

    /// The residual stream (N, C) after `blocks` blocks, in the forward pass; 0 are the embeddings.
    ///
    /// What it writes is what the next block reads. The gradient passes through unchanged.
    package var stream: ((_ blocks: Int, _ values: Rows) -> Void)?
    /// The gradient of the residual stream (N, C) after `blocks` blocks, in the backward pass; may be added to.
    package var streamGradient: ((_ blocks: Int, _ gradient: Rows) -> Void)?
    /// What the down projection of block `layer` reads, (N, I), in the forward pass. What it writes is what the
    /// projection reads; the gradient of the activation function is taken as if nothing was written.
    package var innerForward: ((_ layer: Int, _ values: Rows) -> Void)?
    /// What the output projection of block `layer` reads, (N, H·D), in the forward pass; may be written as well.
    package var headsForward: ((_ layer: Int, _ values: Rows) -> Void)?
    /// What the down projection of block `layer` reads, (N, I), and its gradient, in the backward pass.
    package var inner: ((_ layer: Int, _ values: Rows, _ gradient: Rows) -> Void)?
    /// What the output projection of block `layer` reads, the heads side by side (N, H·D), and its gradient, in
    /// the backward pass.
    package var heads: ((_ layer: Int, _ values: Rows, _ gradient: Rows) -> Void)?

    /// An observer of these.
    package init(
        stream: ((_ blocks: Int, _ values: Rows) -> Void)? = nil,
        streamGradient: ((_ blocks: Int, _ gradient: Rows) -> Void)? = nil,
        innerForward: ((_ layer: Int, _ values: Rows) -> Void)? = nil,
        headsForward: ((_ layer: Int, _ values: Rows) -> Void)? = nil,
        inner: ((_ layer: Int, _ values: Rows, _ gradient: Rows) -> Void)? = nil,
        heads: ((_ layer: Int, _ values: Rows, _ gradient: Rows) -> Void)? = nil
    ) {
        self.stream = stream
        self.streamGradient = streamGradient
        self.innerForward = innerForward
        self.headsForward = headsForward
        self.inner = inner
        self.heads = heads
    }
}
