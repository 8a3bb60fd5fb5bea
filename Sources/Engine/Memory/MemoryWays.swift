// SPDX-License-Identifier: Apache-2.0

import Protocol

/// A prediction of memory, and what changes of a job's options would make of it.
struct MemoryWays<Memory> {
    private let own: Memory
    private var together: Memory
    private let memory: Int
    private let predict: (Memory) throws(EngineError) -> Int
    private var ways: [MemoryAnswer.Way] = []

    /// What `own` takes.
    init(
        _ own: Memory, _ predict: @escaping (Memory) throws(EngineError) -> Int
    ) throws(EngineError) {
        self.own = own
        together = own
        self.predict = predict
        memory = try predict(own)
    }

    /// Keeps a change if it makes the job take less.
    mutating func consider(_ options: String, _ change: (inout Memory) -> Void) throws(EngineError) {
        var changed = own
        change(&changed)
        let less = try predict(changed)
        guard less < memory else { return }
        ways.append(MemoryAnswer.Way(options: options, memory: Int64(less)))
        change(&together)
    }

    /// The ways, the smallest first, and last all of them together.
    func answer() throws(EngineError) -> MemoryAnswer {
        var ways = ways.sorted { $0.memory < $1.memory }
        if ways.count > 1 {
            ways.append(
                MemoryAnswer.Way(
                    options: self.ways.map(\.options).joined(separator: " "),
                    memory: Int64(try predict(together))))
        }
        return MemoryAnswer(memory: Int64(memory), ways: ways)
    }
}
