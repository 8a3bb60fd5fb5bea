// SPDX-License-Identifier: Apache-2.0

/// Keys and values of the tokens that one text has so far, for every block of the network.
final class KeyValueCache {
    /// How many tokens there is room for.
    let capacity: Int
    /// How many tokens are in.
    private(set) var length = 0
    /// Floats of one token's keys and values in one block.
    let stride: Int
    private let configuration: ModelConfiguration
    private let columns: HeadColumns
    private let storage: FloatStorage

    init(_ configuration: ModelConfiguration, capacity: Int) throws(EngineError) {
        self.capacity = capacity
        self.configuration = configuration
        columns = HeadColumns(configuration)
        stride = 2 * configuration.keyWidth
        storage = try FloatStorage(count: configuration.layers * capacity * stride)
    }

    /// The keys of a block, (capacity, stride), heads side by side; the values begin `stride / 2` later.
    func keys(_ layer: Int) -> UnsafeMutablePointer<Float> { storage.base + layer * capacity * stride }

    /// Copies keys and values of the rows `qkv` of `count` new tokens behind those that are in.
    func append(_ layer: Int, _ qkv: UnsafePointer<Float>, count: Int) {
        precondition(
            length + count <= capacity, "a cache for \(capacity) tokens cannot hold \(length + count)")
        let size = configuration.headSize
        for row in 0..<count {
            var target = keys(layer) + (length + row) * stride
            for column in [columns.key, columns.value] {
                for head in 0..<configuration.keyValueHeads {
                    target.update(
                        from: qkv + row * columns.width + column + head * columns.stride, count: size)
                    target += size
                }
            }
        }
    }

    /// Counts tokens in, once every block has them.
    func advance(_ count: Int) { length += count }
}
