// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Keys and values of the tokens that one text has so far, for every block of the network.
final class KeyValueCache {
    /// How many tokens there is room for.
    let capacity: Int
    /// How many tokens are in.
    private(set) var length = 0
    /// Floats of one token's keys and values in one block.
    let stride: Int
    private let storage: FloatStorage

    init(_ configuration: ModelConfiguration, capacity: Int) throws(EngineError) {
        self.capacity = capacity
        stride = 2 * configuration.keyValueHeads * configuration.headSize
        storage = try FloatStorage(count: configuration.layers * capacity * stride)
    }

    /// The keys of a block, (capacity, stride); the values begin `stride / 2` later.
    func keys(_ layer: Int) -> UnsafeMutablePointer<Float> { storage.base + layer * capacity * stride }

    /// Copies keys and values of `count` new tokens behind those that are in.
    func append(
        _ layer: Int, _ source: UnsafePointer<Float>, sourceStride: Int, count: Int
    ) {
        precondition(
            length + count <= capacity, "a cache for \(capacity) tokens cannot hold \(length + count)")
        for row in 0..<count {
            memcpy(
                keys(layer) + (length + row) * stride, source + row * sourceStride,
                stride * MemoryLayout<Float>.stride)
        }
    }

    /// Counts tokens in, once every block has them.
    func advance(_ count: Int) { length += count }
}
