// SPDX-License-Identifier: Apache-2.0

import CCUDA

/// A block of a card's memory, freed with its owner.
package final class CUDAMemory {
    /// What every part of a block begins at a multiple of, bytes.
    static let alignment = 256

    package let address: UInt64
    package let bytes: Int
    private let libraries: CUDALibraries

    /// Room for `bytes` bytes, whose values are not determined.
    ///
    /// - Throws: ``EngineError`` with `.resources` if the card has no room.
    package init(_ card: CUDACard, bytes: Int) throws(EngineError) {
        var address: UInt64 = 0
        try card.check(
            card.libraries.driver.allocate(&address, max(bytes, 1)), "setting \(bytes >> 20) MiB aside")
        libraries = card.libraries
        self.address = address
        self.bytes = bytes
    }

    deinit { _ = libraries.driver.release(address) }

    /// The size that a part takes of a block.
    static func padded(_ bytes: Int) -> Int { (bytes + alignment - 1) / alignment * alignment }
}

/// A place of f32 values in a card's memory.
package struct CUDAFloats: Hashable {
    package var address: UInt64
    /// The place at an address.
    package init(address: UInt64) { self.address = address }
    /// So many values further.
    package static func + (place: CUDAFloats, count: Int) -> CUDAFloats {
        CUDAFloats(address: place.address + UInt64(count * 4))
    }
}

/// A place of bfloat16 values.
package struct CUDAHalves: Hashable {
    package var address: UInt64
    /// The place at an address.
    package init(address: UInt64) { self.address = address }
    /// So many values further.
    package static func + (place: CUDAHalves, count: Int) -> CUDAHalves {
        CUDAHalves(address: place.address + UInt64(count * 2))
    }
}

/// A place of 32-bit integers.
package struct CUDAIntegers: Hashable {
    package var address: UInt64
    /// The place at an address.
    package init(address: UInt64) { self.address = address }
    /// So many values further.
    package static func + (place: CUDAIntegers, count: Int) -> CUDAIntegers {
        CUDAIntegers(address: place.address + UInt64(count * 4))
    }
}

extension CUDACard {
    /// Copies values to the card.
    package func upload<Value>(_ values: UnsafeBufferPointer<Value>, to address: UInt64) throws(EngineError) {
        guard let base = values.baseAddress, !values.isEmpty else { return }
        try check(
            libraries.driver.upload(address, base, values.count * MemoryLayout<Value>.stride, stream),
            "copying to it")
    }

    /// Copies values from the card, once all before is done.
    func download<Value>(_ address: UInt64, into values: UnsafeMutableBufferPointer<Value>)
        throws(EngineError)
    {
        guard let base = values.baseAddress, !values.isEmpty else { return }
        try check(
            libraries.driver.download(base, address, values.count * MemoryLayout<Value>.stride, stream),
            "copying from it")
        try wait()
    }

    /// So many values from the card.
    package func values<Value>(_ address: UInt64, count: Int, like zero: Value) throws(EngineError) -> [Value]
    {
        var values = [Value](repeating: zero, count: count)
        do {
            try values.withUnsafeMutableBufferPointer { try download(address, into: $0) }
        } catch let error as EngineError {
            throw error
        } catch { preconditionFailure("\(error)") }
        return values
    }

    /// Sets bytes to zero.
    package func clear(_ address: UInt64, bytes: Int) throws(EngineError) {
        guard bytes > 0 else { return }
        try check(libraries.driver.fill(address, 0, bytes, stream), "clearing memory")
    }
}
