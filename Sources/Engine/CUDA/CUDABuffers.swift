// SPDX-License-Identifier: Apache-2.0

/// A card's memory for the passes over a batch, cut up as a ``CUDAPlan`` says; N packed tokens, P scored ones.
final class CUDABuffers {
    /// What one block keeps; (N, …).
    struct Block {
        var normed: CUDAHalves
        var qkv: CUDAHalves
        var attention: CUDAHalves
        /// (heads, N)
        var logSums: CUDAFloats
        var middle: CUDAFloats
        var middleNormed: CUDAHalves
        var preactivation: CUDAHalves
        var activation: CUDAHalves
        var attentionMean: CUDAFloats
        var attentionDeviation: CUDAFloats
        var feedForwardMean: CUDAFloats
        var feedForwardDeviation: CUDAFloats
    }

    let plan: CUDAPlan
    private var blocks: [Block] = []
    private var streams: [CUDAFloats] = []

    /// Scored rows of what leaves the last block, normalised, and their gradients; (P, C).
    let scored: CUDAFloats
    let scoredNormed: CUDAHalves
    let scoredGradient: CUDAFloats
    let scoredSum: CUDAFloats
    let scoredMean: CUDAFloats
    let scoredDeviation: CUDAFloats
    /// (logitRows, logitStride)
    let logits: CUDAFloats
    let logitGradient: CUDAHalves
    /// What the loss gives for each label, and what it is weighed by; (P), moments (P, 2).
    let losses: CUDAFloats
    let hits: CUDAIntegers
    let maxima: CUDAFloats
    let sums: CUDAFloats
    let weights: CUDAFloats
    let moments: CUDAFloats
    /// The gradient of the residual stream, also rounded, and that of a norm's output; (N, C).
    let streamGradient: CUDAFloats
    let streamHalves: CUDAHalves
    let normGradient: CUDAFloats
    /// Two wide gradients, and the deltas of attention (heads, N).
    let innerGradient: CUDAHalves
    let wideGradient: CUDAHalves
    let deltas: CUDAFloats
    /// Partial sums over rows.
    let pieces: CUDAFloats
    /// What the batch is, see ``CUDABatch``.
    let integers: CUDAIntegers

    private let memory: CUDAMemory

    init(_ card: CUDACard, _ plan: CUDAPlan) throws(EngineError) {
        let memory = try CUDAMemory(card, bytes: plan.total)
        self.memory = memory
        self.plan = plan
        var used = 0
        func take(_ bytes: Int) -> UInt64 {
            defer { used += CUDAMemory.padded(bytes) }
            return memory.address + UInt64(used)
        }
        let common = plan.commonParts.map(take)
        func floats(_ index: Int) -> CUDAFloats { CUDAFloats(address: common[index]) }
        func halves(_ index: Int) -> CUDAHalves { CUDAHalves(address: common[index]) }
        scored = floats(0)
        scoredNormed = halves(1)
        scoredGradient = floats(2)
        scoredSum = floats(3)
        scoredMean = floats(4)
        scoredDeviation = floats(5)
        logits = floats(6)
        logitGradient = halves(7)
        losses = floats(8)
        hits = CUDAIntegers(address: common[9])
        maxima = floats(10)
        sums = floats(11)
        weights = floats(12)
        moments = floats(13)
        streamGradient = floats(14)
        streamHalves = halves(15)
        normGradient = floats(16)
        innerGradient = halves(17)
        wideGradient = halves(18)
        deltas = floats(19)
        pieces = floats(20)
        integers = CUDAIntegers(address: common[21])
        for _ in 0..<plan.slots {
            let parts = plan.blockParts.map(take)
            func floats(_ index: Int) -> CUDAFloats { CUDAFloats(address: parts[index]) }
            func halves(_ index: Int) -> CUDAHalves { CUDAHalves(address: parts[index]) }
            blocks.append(
                Block(
                    normed: halves(0), qkv: halves(1), attention: halves(2), logSums: floats(3),
                    middle: floats(4), middleNormed: halves(5), preactivation: halves(6),
                    activation: halves(7), attentionMean: floats(8), attentionDeviation: floats(9),
                    feedForwardMean: floats(10), feedForwardDeviation: floats(11)))
        }
        for _ in 0..<plan.streams { streams.append(CUDAFloats(address: take(plan.stream))) }
    }

    /// Whether a batch of that size fits.
    func fits(_ size: CUDAPlan.Size) -> Bool {
        let own = plan.size
        return size.tokens <= own.tokens && size.predictors <= own.predictors
            && size.sequences <= own.sequences && (own.training || !size.training)
            && (!size.training || size.checkpointing == own.checkpointing)
    }

    /// The buffers of one block.
    func block(_ layer: Int) -> Block { blocks[layer % blocks.count] }

    /// The residual stream (N, C) that enters block `layer`; for the number of blocks, what leaves the last one.
    func stream(_ layer: Int) -> CUDAFloats { streams[layer % streams.count] }
}
