// SPDX-License-Identifier: Apache-2.0

import CKernels

/// A model's weights on a card, in f32 and rounded to bfloat16, and what the passes over a batch need there.
///
/// Products take bfloat16 and sum in f32; the residual stream, norms, losses, gradients of weights and the optimiser are f32.
final class CUDAModel {
    let card: CUDACard
    let configuration: ModelConfiguration
    let layout: ModelLayout
    /// What gradients are taken of.
    let trainable: Trainable
    let checkpointing: Bool
    /// The block at which the backward pass ends.
    let lowestTrained: Int
    let program: CUDAProgram
    let products: CUDAProducts
    /// The weights, laid out as the model's table is, and rounded, with rows of zeros behind.
    let weights: CUDAFloats
    let halves: CUDAHalves
    /// Gradients and moments of a model that is trained.
    let training: CUDATraining?
    /// Cosines and sines of all positions, (positions, size/2) each.
    let rotations: (cosines: CUDAFloats, sines: CUDAFloats, size: Int)?

    /// Whether the weights here have been trained, and are not those of the processor's copy any more.
    var isAhead = false

    private let memory: CUDAMemory
    private let count: Int
    private var buffers: CUDABuffers?

    /// Copies the weights of `model` to the card.
    ///
    /// - Parameter training: Whether gradients and moments are to be held too.
    /// - Throws: ``EngineError`` with `.unsupportedModel`, `.resources`, `.deviceFailure`.
    init(_ card: CUDACard, _ model: Transformer, training: Bool) throws(EngineError) {
        try CUDASupport.require(model)
        let c = model.configuration
        self.card = card
        configuration = c
        layout = model.layout
        trainable = model.trainable
        checkpointing = model.checkpointing
        lowestTrained = model.lowestTrained
        program = try card.program(headSize: c.headSize)
        products = try card.products()
        count = model.table.count
        let halvesCount = CUDAPlan.halvesCount(c, model.table)
        let sizes = [CUDAMemory.padded(4 * count), CUDAMemory.padded(2 * halvesCount)]
        let embedding = c.rotary(0)
        let angles = embedding.map { c.contextLength * ($0.size / 2) } ?? 0
        memory = try CUDAMemory(card, bytes: sizes[0] + sizes[1] + 2 * CUDAMemory.padded(4 * angles))
        weights = CUDAFloats(address: memory.address)
        halves = CUDAHalves(address: memory.address + UInt64(sizes[0]))
        try card.clear(halves.address, bytes: 2 * halvesCount)
        if let embedding {
            let table = try RotaryTable(embedding, length: c.contextLength)
            let cosines = memory.address + UInt64(sizes[0] + sizes[1])
            let sines = cosines + UInt64(CUDAMemory.padded(4 * angles))
            try card.upload(UnsafeBufferPointer(table.cosines.buffer), to: cosines)
            try card.upload(UnsafeBufferPointer(table.sines.buffer), to: sines)
            try card.wait()
            rotations = (CUDAFloats(address: cosines), CUDAFloats(address: sines), embedding.size)
        } else {
            rotations = nil
        }
        self.training = training ? try CUDATraining(card, program, model.table) : nil
        try upload(model.parameters)
    }

    /// Takes the values of `parameters`.
    func upload(_ parameters: FloatStorage) throws(EngineError) {
        precondition(parameters.count == count, "the card has \(count) weights, not \(parameters.count)")
        try card.upload(UnsafeBufferPointer(parameters.buffer), to: weights.address)
        try program.launch(
            "round_values", blocks: min(4096, (count + 255) / 256), .halves(halves), .floats(weights),
            .long(count))
        try card.wait()
        isAhead = false
    }

    /// Gives the weights back.
    func download(into parameters: FloatStorage) throws(EngineError) {
        try card.download(weights.address, into: parameters.buffer)
    }

    /// Memory for a batch: what is there, if the batch fits.
    func buffers(for size: CUDAPlan.Size) throws(EngineError) -> CUDABuffers {
        if let buffers, buffers.fits(size) { return buffers }
        var larger = size
        if let old = buffers?.plan.size, old.training == size.training {
            larger.tokens = max(size.tokens, old.tokens)
            larger.predictors = max(size.predictors, old.predictors)
            larger.sequences = max(size.sequences, old.sequences)
        }
        buffers = nil
        let made = try CUDABuffers(card, CUDAPlan(configuration, larger, logitBudget: card.logitBudget))
        buffers = made
        return made
    }

    /// Gives the memory of the last batch back.
    func releaseBuffers() { buffers = nil }
}

/// Gradients and AdamW's two moments on a card, laid out as the weights are.
final class CUDATraining {
    let gradients: CUDAFloats
    let first: CUDAFloats
    let second: CUDAFloats
    private let card: CUDACard
    private let program: CUDAProgram
    private let memory: CUDAMemory
    private let squares: UInt64
    private let count: Int

    init(_ card: CUDACard, _ program: CUDAProgram, _ table: ParameterTable) throws(EngineError) {
        self.card = card
        self.program = program
        count = table.count
        let size = CUDAMemory.padded(4 * table.count)
        memory = try CUDAMemory(card, bytes: 3 * size + CUDAPlan.squares(table))
        gradients = CUDAFloats(address: memory.address)
        first = CUDAFloats(address: memory.address + UInt64(size))
        second = CUDAFloats(address: memory.address + UInt64(2 * size))
        squares = memory.address + UInt64(3 * size)
        try card.clear(memory.address, bytes: 3 * size)
    }

    /// Sets gradients to zero.
    func clear(_ ranges: [Range<Int>]) throws(EngineError) {
        for range in ranges {
            try card.clear((gradients + range.lowerBound).address, bytes: 4 * range.count)
        }
    }

    /// The 2-norm of gradients, each square and sum in double.
    func norm(_ ranges: [Range<Int>]) throws(EngineError) -> Double {
        var sum = 0.0
        for range in ranges {
            let pieces = (range.count + CUDAPlan.squarePiece - 1) / CUDAPlan.squarePiece
            try program.launch(
                "sum_of_squares", blocks: pieces, .doubles(squares + 8),
                .floats(gradients + range.lowerBound),
                .long(range.count))
            try program.launch(
                "add_squares", blocks: 1, .doubles(squares), .doubles(squares + 8), .int(pieces))
            sum += try card.values(squares, count: 1, like: 0.0)[0]
        }
        return sum.squareRoot()
    }

    /// One step of AdamW; gradients count `factor` times.
    func step(_ model: CUDAModel, _ ranges: [Range<Int>], _ constants: AdamW.Constants, factor: Float)
        throws(EngineError)
    {
        for range in ranges {
            let start = range.lowerBound
            try program.launch(
                "adamw", blocks: min(8192, (range.count + 255) / 256), .floats(model.weights + start),
                .halves(model.halves + start), .floats(gradients + start), .floats(first + start),
                .floats(second + start), .long(range.count), .float(factor), .float(constants.decay),
                .float(constants.one_minus_beta1), .float(constants.beta2), .float(constants.one_minus_beta2),
                .float(constants.bias_correction2_sqrt), .float(constants.epsilon),
                .float(constants.negative_step_size))
        }
    }

    /// Takes moments that were kept, in the order first, second.
    func upload(moments: [FloatStorage]) throws(EngineError) {
        for (place, storage) in zip([first, second], moments) {
            try card.upload(UnsafeBufferPointer(storage.buffer), to: place.address)
        }
        try card.wait()
    }
}
