// SPDX-License-Identifier: Apache-2.0

/// Keys and values of the tokens that texts have so far, for every block of the network; each text has a row.
package final class KeyValueCache {
    /// How many texts there is room for.
    let rows: Int
    /// How many tokens of each.
    let capacity: Int
    /// How many tokens of each are in.
    package private(set) var lengths: [Int]
    /// Floats of one token's keys and values in one block.
    let stride: Int
    private let configuration: ModelConfiguration
    private let columns: HeadColumns
    private let storage: FloatStorage

    /// Room for `rows` texts of `capacity` tokens.
    ///
    /// - Throws: ``EngineError`` with `.resources`.
    package init(_ configuration: ModelConfiguration, rows: Int = 1, capacity: Int) throws(EngineError) {
        self.rows = rows
        self.capacity = capacity
        self.configuration = configuration
        columns = HeadColumns(configuration)
        lengths = [Int](repeating: 0, count: rows)
        stride = 2 * configuration.keyWidth
        storage = try FloatStorage(count: configuration.layers * rows * capacity * stride)
    }

    /// Bytes that one row of `capacity` tokens takes.
    static func bytes(_ configuration: ModelConfiguration, capacity: Int) -> Int {
        configuration.layers * capacity * 2 * configuration.keyWidth * MemoryLayout<Float>.stride
    }

    /// Floats from one row to the next.
    var rowStride: Int { capacity * stride }

    /// The keys of a block, (rows, capacity, stride), heads side by side; the values begin `stride / 2` later.
    func keys(_ layer: Int) -> UnsafeMutablePointer<Float> { storage.base + layer * rows * rowStride }

    /// Copies keys and values of new tokens behind those that are in.
    ///
    /// - Parameter qkv: The rows of queries, keys and values of the packed tokens that `sequences` name.
    func append(_ layer: Int, _ sequences: [TokenRun], _ qkv: UnsafePointer<Float>) {
        let size = configuration.headSize
        for sequence in sequences {
            let length = lengths[sequence.row]
            precondition(
                length + sequence.length <= capacity,
                "a cache for \(capacity) tokens cannot hold \(length + sequence.length)")
            var target = keys(layer) + sequence.row * rowStride + length * stride
            for token in sequence.start..<sequence.start + sequence.length {
                for column in [columns.key, columns.value] {
                    for head in 0..<configuration.keyValueHeads {
                        target.update(
                            from: qkv + token * columns.width + column + head * columns.stride, count: size)
                        target += size
                    }
                }
            }
        }
    }

    /// Counts tokens in, once every block has them.
    func advance(_ sequences: [TokenRun]) {
        for sequence in sequences { lengths[sequence.row] += sequence.length }
    }

    /// Makes a row empty.
    func clear(_ row: Int) { lengths[row] = 0 }

    /// Gives a row the tokens of another.
    func copy(_ row: Int, to target: Int) {
        for layer in 0..<configuration.layers {
            let keys = keys(layer)
            (keys + target * rowStride).update(from: keys + row * rowStride, count: lengths[row] * stride)
        }
        lengths[target] = lengths[row]
    }
}
