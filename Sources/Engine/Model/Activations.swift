// SPDX-License-Identifier: Apache-2.0

/// Where the forward pass keeps what the backward pass needs, and the memory both work in.
///
/// One block of memory, cut up for N packed tokens and P scored ones. Without training, and with checkpointing, the
/// blocks of the network share one set of buffers.
final class Activations {
    /// The sizes a cut is made for.
    struct Size {
        var tokens: Int
        var predictors: Int
        var longest: Int
        var training: Bool
        /// Whether training keeps each block's input alone and computes the rest again in the backward pass.
        var checkpointing = false
    }

    /// What one decoder block keeps; all are (N, …), and empty where the configuration has no use for them.
    struct Block {
        var normed: UnsafeMutablePointer<Float>
        var qkv: UnsafeMutablePointer<Float>
        var queryKeyValue: QueryKeyValue.Kept
        var attention: UnsafeMutablePointer<Float>
        var logSums: UnsafeMutablePointer<Float>
        var middle: UnsafeMutablePointer<Float>
        var middleNormed: UnsafeMutablePointer<Float>
        var preactivation: UnsafeMutablePointer<Float>
        var activation: UnsafeMutablePointer<Float>
        /// What attention and the feed-forward network give, where it is normalised before it is added.
        var output: UnsafeMutablePointer<Float>
        var down: UnsafeMutablePointer<Float>
        var attentionStatistics: Norm.Statistics
        var feedForwardStatistics: Norm.Statistics
        var outputStatistics: Norm.Statistics
        var downStatistics: Norm.Statistics
    }

    /// Logits that are in memory at one time, in floats: 256 MiB. The head's matrix is packed anew for each such part.
    static let logitBudget = 1 << 26

    let size: Size
    private var slots: [Block] = []
    private var streams: [UnsafeMutablePointer<Float>] = []
    /// Scored rows of the last block's output, their norm, and the norm's gradient and statistics; (P, C).
    let scored: UnsafeMutablePointer<Float>
    let scoredNormed: UnsafeMutablePointer<Float>
    let scoredGradient: UnsafeMutablePointer<Float>
    let scoredStatistics: Norm.Statistics
    /// Two buffers of (logitRows, V).
    let logits: UnsafeMutablePointer<Float>
    let referenceLogits: UnsafeMutablePointer<Float>
    /// The slopes of capped logits, (logitRows, V).
    let logitSlopes: UnsafeMutablePointer<Float>
    let logitRows: Int
    /// Gradients of the residual stream and of a norm's output (N, C), and two wide buffers.
    let streamGradient: UnsafeMutablePointer<Float>
    let normGradient: UnsafeMutablePointer<Float>
    let innerGradient: UnsafeMutablePointer<Float>
    let wideGradient: UnsafeMutablePointer<Float>
    /// Attention's own memory, `scratchStride` floats for each thread.
    let scratch: UnsafeMutablePointer<Float>
    let scratchStride: Int

    private let storage: FloatStorage

    /// What is mapped.
    var bytes: Int { storage.count * MemoryLayout<Float>.stride }

    /// The lengths of all parts for a size, in floats: exactly what ``Activations`` maps.
    struct Plan {
        let blockParts: [Int]
        let slots: Int
        let streams: Int
        let stream: Int
        let commonParts: [Int]
        let logitRows: Int
        let scratchStride: Int

        init(_ c: ModelConfiguration, size: Size, threads: Int) {
            let n = size.tokens
            let p = size.predictors
            let gradient = size.training ? n : 0
            logitRows = max(1, min(max(p, 1), max(32, Activations.logitBudget / c.vocabularySize / 32 * 32)))
            let attention = Attention.scratch(
                longest: size.longest, headSize: c.headSize, isCapped: c.attentionSoftCap != nil)
            scratchStride = max(attention, c.keptWidth) + 16
            stream = n * c.hiddenSize
            let before = c.normPlacement == .after ? 0 : n
            let after = c.normPlacement == .before ? 0 : n
            let sequential = c.residual == .sequential ? n : 0
            let ownNorm = c.residual == .parallelSharedNorm ? 0 : before
            let heads = n * c.headStatistics
            blockParts = [
                before * c.hiddenSize, n * c.qkvWidth, n * c.keptWidth, n * c.attentionWidth, n * c.heads,
                sequential * c.hiddenSize, ownNorm * c.hiddenSize, n * c.preactivationWidth,
                n * c.intermediateSize, after * c.hiddenSize, after * c.hiddenSize, heads, heads, before,
                before,
                ownNorm, ownNorm, after, after, after, after,
            ]
            slots = size.training && !size.checkpointing ? c.layers : 1
            streams = size.training ? c.layers + 1 : 2
            commonParts = [
                p * c.hiddenSize, p * c.hiddenSize, size.training ? p * c.hiddenSize : 0, p, p,
                logitRows * c.vocabularySize, logitRows * c.vocabularySize,
                c.finalSoftCap == nil || !size.training ? 0 : logitRows * c.vocabularySize,
                gradient * c.hiddenSize, gradient * c.hiddenSize,
                gradient * max(c.intermediateSize, c.attentionWidth),
                gradient * max(c.preactivationWidth, c.qkvWidth), threads * scratchStride,
            ]
        }

        /// Each part begins at a 64-byte boundary.
        static func padded(_ count: Int) -> Int { (count + 15) & ~15 }

        /// All parts together.
        var total: Int {
            slots * blockParts.reduce(0) { $0 + Self.padded($1) } + streams * Self.padded(stream)
                + commonParts.reduce(0) { $0 + Self.padded($1) }
        }
    }

    /// Cuts up memory for `size`. Pages become resident only as they are used.
    ///
    /// - Throws: ``EngineError`` with `.resources`.
    init(_ configuration: ModelConfiguration, size: Size, threads: Int) throws(EngineError) {
        let plan = Plan(configuration, size: size, threads: threads)
        self.size = size
        logitRows = plan.logitRows
        scratchStride = plan.scratchStride
        let storage = try FloatStorage(count: plan.total)
        self.storage = storage
        var used = 0
        func take(_ count: Int) -> UnsafeMutablePointer<Float> {
            defer { used += Plan.padded(count) }
            return storage.base + used
        }
        let common = plan.commonParts.map(take)
        scored = common[0]
        scoredNormed = common[1]
        scoredGradient = common[2]
        scoredStatistics = Norm.Statistics(mean: common[3], rstd: common[4])
        logits = common[5]
        referenceLogits = common[6]
        logitSlopes = common[7]
        streamGradient = common[8]
        normGradient = common[9]
        innerGradient = common[10]
        wideGradient = common[11]
        scratch = common[12]
        for _ in 0..<plan.slots {
            let parts = plan.blockParts.map(take)
            func statistics(_ index: Int) -> Norm.Statistics {
                Norm.Statistics(mean: parts[index], rstd: parts[index + 1])
            }
            slots.append(
                Block(
                    normed: parts[0], qkv: parts[1],
                    queryKeyValue: QueryKeyValue.Kept(values: parts[2], statistics: statistics(11)),
                    attention: parts[3], logSums: parts[4], middle: parts[5], middleNormed: parts[6],
                    preactivation: parts[7], activation: parts[8], output: parts[9], down: parts[10],
                    attentionStatistics: statistics(13), feedForwardStatistics: statistics(15),
                    outputStatistics: statistics(17), downStatistics: statistics(19)))
        }
        for _ in 0..<plan.streams { streams.append(take(plan.stream)) }
    }

    /// Whether a batch of `other`'s size fits.
    func fits(_ other: Size) -> Bool {
        other.tokens <= size.tokens && other.predictors <= size.predictors && other.longest <= size.longest
            && (size.training || !other.training)
            && (!other.training || other.checkpointing == size.checkpointing)
    }

    /// The buffers of one decoder block.
    func block(_ layer: Int) -> Block { slots[layer % slots.count] }

    /// The residual stream (N, C) that enters block `layer`; for the number of blocks, what leaves the last one.
    func stream(_ layer: Int) -> UnsafeMutablePointer<Float> { streams[layer % streams.count] }
}
