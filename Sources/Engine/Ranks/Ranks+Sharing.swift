// SPDX-License-Identifier: Apache-2.0

import Checkpoints

/// Work in pieces of which each rank does some: what a piece comes to depends on the piece alone, so that any number of
/// ranks finds the same bits. Every rank makes these calls, in the same order, and gets everything.
extension Ranks: RewritePartners {
    /// What each rank has, in the order of the ranks: any number of values from each.
    package func gather<Value: BitwiseCopyable>(values own: [Value]) throws -> [[Value]] {
        guard let transport else { return [own] }
        let counts = try gather(Double(own.count)).map { Int($0) }
        let starts = counts.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
        let values = UnsafeMutableBufferPointer<Value>.allocate(capacity: starts[count])
        defer { values.deallocate() }
        func part(_ rank: Int) -> UnsafeMutableBufferPointer<Value> {
            UnsafeMutableBufferPointer(rebasing: values[starts[rank]..<starts[rank + 1]])
        }
        _ = part(rank).initialize(from: own)
        try transport.exchange(
            sends: others.map { ($0, UnsafeRawBufferPointer(part(rank))) },
            receives: others.map { ($0, UnsafeMutableRawBufferPointer(part($0))) })
        return (0..<count).map { Array(part($0)) }
    }

    /// The pieces of `pieces` that this rank does: every ``count``th one.
    func own(of pieces: Int) -> [Int] { Array(stride(from: rank, to: pieces, by: count)) }

    /// The values of each piece, in the order of the pieces, from ranks that do all of theirs together.
    ///
    /// - Parameter body: Gets the numbers of this rank's pieces, and returns the values of each.
    package func divide<Value: BitwiseCopyable>(
        _ pieces: Int, _ body: (_ own: [Int]) throws -> [[Value]]
    ) throws -> [[Value]] {
        guard !isAlone else { return try body(Array(0..<pieces)) }
        let made = try body(own(of: pieces))
        let values = try gather(values: made.flatMap(\.self))
        let sizes = try gather(values: made.map(\.count))
        var places = [Int](repeating: 0, count: count)
        return (0..<pieces).map { piece in
            let (owner, turn) = (piece % count, piece / count)
            let start = places[owner]
            places[owner] += sizes[owner][turn]
            return Array(values[owner][start..<places[owner]])
        }
    }

    /// The same from ranks that do their pieces one by one.
    package func shareOut<Value: BitwiseCopyable>(_ pieces: Int, _ body: (Int) throws -> [Value]) throws
        -> [[Value]]
    {
        try divide(pieces) { try $0.map(body) }
    }

    /// The values of each example, in the order of the examples: batches of like length, as ``Batcher`` cuts them for one
    /// process, are the pieces.
    ///
    /// - Parameters:
    ///   - progress: Called with the number of examples that were done since the last call; throwing cancels.
    ///   - body: The values of each row of a batch.
    func byLength<Value: BitwiseCopyable>(
        _ examples: [Example], batchSize: Int, progress: (Int) throws -> Void,
        _ body: (TokenBatch) throws -> [[Value]]
    ) throws -> [[Value]] {
        let batches = Batcher.byLength(examples, batchSize: batchSize)
        var left = examples.count
        func done(_ count: Int) throws {
            left -= count
            try progress(count)
        }
        // The rows of a batch one after another, and of each how many values it has.
        var sizes: [[Int]] = []
        let values = try shareOut(batches.count) { index in
            let made = try body(batches[index].batch)
            sizes.append(made.map(\.count))
            try done(batches[index].rows.count)
            return made.flatMap(\.self)
        }
        let all = isAlone ? sizes : try shareOut(batches.count) { _ in sizes.removeFirst() }
        if left > 0 { try done(left) }
        var found = [[Value]](repeating: [], count: examples.count)
        for (index, (rows, _)) in batches.enumerated() {
            var rest = values[index][...]
            for (row, size) in zip(rows, all[index]) {
                found[row] = Array(rest.prefix(size))
                rest = rest.dropFirst(size)
            }
        }
        return found
    }
}
