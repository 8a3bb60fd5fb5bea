// SPDX-License-Identifier: Apache-2.0

/// How a card's memory is cut up for a batch: what is allocated, and so what a job is predicted to take.
struct CUDAPlan {
    /// The sizes a cut is made for.
    struct Size: Hashable {
        var tokens: Int
        var predictors: Int
        /// Rows of the batch that have labels.
        var sequences: Int
        var training: Bool
        /// Whether training keeps each block's input alone and computes the rest again in the backward pass.
        var checkpointing = false
    }

    /// Rows of a tile of attention, and of a piece of a sum over rows: `TILE` and `PIECE_ROWS` of the kernels.
    static let tile = 64
    static let pieceRows = 128
    /// f32 logits that are in memory at one time: 1 GiB.
    static let logitBudget = 1 << 28

    let size: Size
    /// The parts that each block of the network has, the parts that there are once, bytes.
    let blockParts: [Int]
    let commonParts: [Int]
    /// Bytes of the residual stream, and how many of them there are.
    let stream: Int
    let streams: Int
    /// Sets of blocks' parts.
    let slots: Int
    /// Rows of logits, and values from one to the next: a multiple of 64, so that products read them aligned.
    let logitRows: Int
    let logitStride: Int
    /// Integers of a batch: tokens, positions, places, targets, and the order of embeddings' gradients.
    let integers: Int
    /// Floats of partial sums over rows.
    let pieces: Int

    init(_ c: ModelConfiguration, _ size: Size, logitBudget: Int = CUDAPlan.logitBudget) {
        let (n, p) = (size.tokens, size.predictors)
        let gradient = size.training ? n : 0
        self.size = size
        logitStride = Self.logitStride(c)
        logitRows = max(1, min(max(p, 1), max(1, logitBudget / logitStride)))
        stream = 4 * n * c.hiddenSize
        streams = size.training ? c.layers + 1 : 2
        slots = size.training && !size.checkpointing ? c.layers : 1
        let tiles = n / Self.tile + size.sequences
        integers = 9 * n + 2 * p + 3 * tiles + 8
        let width = max(2 * c.hiddenSize, c.qkvWidth, c.preactivationWidth)
        pieces =
            size.training ? (max(n, p) + Self.pieceRows - 1) / Self.pieceRows * width : 0
        blockParts = [
            2 * n * c.hiddenSize, 2 * n * c.qkvWidth, 2 * n * c.attentionWidth, 4 * n * c.heads,
            4 * n * c.hiddenSize, 2 * n * c.hiddenSize, 2 * n * c.preactivationWidth,
            2 * n * c.intermediateSize, 4 * n, 4 * n, 4 * n, 4 * n,
        ]
        commonParts = [
            4 * p * c.hiddenSize, 2 * p * c.hiddenSize, size.training ? 4 * p * c.hiddenSize : 0,
            size.training ? 4 * p * c.hiddenSize : 0, 4 * p, 4 * p,
            4 * logitRows * logitStride, size.training ? 2 * logitRows * logitStride : 0,
            4 * p, 4 * p, 4 * p, 4 * p, 4 * p, 8 * p,
            4 * gradient * c.hiddenSize, 2 * gradient * c.hiddenSize, 4 * gradient * c.hiddenSize,
            2 * gradient * max(c.intermediateSize, c.attentionWidth),
            2 * gradient * max(c.preactivationWidth, c.qkvWidth), 4 * gradient * c.heads, 4 * pieces,
            4 * integers,
        ]
    }

    /// All parts together, bytes.
    var total: Int {
        slots * blockParts.reduce(0) { $0 + CUDAMemory.padded($1) } + streams * CUDAMemory.padded(stream)
            + commonParts.reduce(0) { $0 + CUDAMemory.padded($1) }
    }

    static func logitStride(_ c: ModelConfiguration) -> Int { (c.vocabularySize + 63) / 64 * 64 }

    /// Rows of zeros behind the rounded weights: the head is read in whole aligned rows of logits.
    static func halvesCount(_ c: ModelConfiguration, _ table: ParameterTable) -> Int {
        table.count + (logitStride(c) - c.vocabularySize) * c.hiddenSize
    }

    /// Weights, their rounded copy, the rotations, and for training gradients and AdamW's two moments, bytes.
    static func weights(_ c: ModelConfiguration, _ table: ParameterTable, training: Bool) -> Int {
        let rotations = c.rotary(0).map { 2 * CUDAMemory.padded(4 * c.contextLength * ($0.size / 2)) } ?? 0
        return (training ? 4 : 1) * CUDAMemory.padded(4 * table.count)
            + CUDAMemory.padded(2 * halvesCount(c, table)) + rotations
            + (training ? CUDAMemory.padded(squares(table)) : 0)
    }

    /// Values of one piece of the sum of the gradient's squares: `SQUARE_PIECE` of the kernels.
    static let squarePiece = 65536

    /// Bytes of partial sums of squares, for any runs of trained values.
    static func squares(_ table: ParameterTable) -> Int {
        8 * (table.count / squarePiece + 2)
    }
}
