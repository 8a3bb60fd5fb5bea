// SPDX-License-Identifier: Apache-2.0

import CKernels
import Engine
import Testing

/// A card with what the tests hand to it.
final class CardBench {
    let card: CUDACard
    let program: CUDAProgram
    private var blocks: [CUDAMemory] = []

    init(headSize: Int = 16) throws {
        card = try TestCard.open()
        program = try card.program(headSize: headSize)
    }

    func memory(_ bytes: Int) throws -> UInt64 {
        let block = try CUDAMemory(card, bytes: bytes)
        blocks.append(block)
        return block.address
    }

    func floats(_ values: [Float]) throws -> CUDAFloats {
        let address = try memory(values.count * 4)
        try values.withUnsafeBufferPointer { try card.upload($0, to: address) }
        return CUDAFloats(address: address)
    }

    func halves(_ values: [Float]) throws -> CUDAHalves {
        let address = try memory(values.count * 2)
        let rounded = values.map(CardBench.bits)
        try rounded.withUnsafeBufferPointer { try card.upload($0, to: address) }
        return CUDAHalves(address: address)
    }

    func integers(_ values: [Int32]) throws -> CUDAIntegers {
        let address = try memory(values.count * 4)
        try values.withUnsafeBufferPointer { try card.upload($0, to: address) }
        return CUDAIntegers(address: address)
    }

    func values(_ place: CUDAFloats, _ count: Int) throws -> [Float] {
        try card.values(place.address, count: count, like: Float(0))
    }

    func values(_ place: CUDAHalves, _ count: Int) throws -> [Float] {
        try card.values(place.address, count: count, like: UInt16(0)).map {
            Float(bitPattern: UInt32($0) << 16)
        }
    }

    static func bits(_ x: Float) -> UInt16 {
        let bits = x.bitPattern
        return UInt16((bits &+ 0x7fff &+ (bits >> 16 & 1)) >> 16)
    }
}

extension CardTests.Kernels {
    func random(_ count: Int, _ seed: UInt64, scale: Float = 1) -> [Float] {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (Float(state >> 40) / Float(1 << 23) - 1) * scale
        }
    }

    /// What bfloat16 makes of values.
    func rounded(_ values: [Float]) -> [Float] {
        values.map { Float(bitPattern: UInt32(CardBench.bits($0)) << 16) }
    }

    func expectClose(
        _ actual: [Float], _ expected: [Double], _ tolerance: Double, _ what: String,
        location: SourceLocation = #_sourceLocation
    ) {
        var (difference, size) = (0.0, 0.0)
        for (a, e) in zip(actual, expected) {
            difference += (Double(a) - e) * (Double(a) - e)
            size += e * e
        }
        #expect(
            actual.count == expected.count && difference.squareRoot() <= tolerance * size.squareRoot(),
            "\(what): \(difference.squareRoot()) against \(size.squareRoot())", sourceLocation: location)
    }
}
