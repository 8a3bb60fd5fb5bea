// SPDX-License-Identifier: Apache-2.0

/// Work on numbered pieces in parallel, with each piece's bytes also seen once, in order, by the calling thread.
///
/// This is how a file is cut and stored by many threads while one hash runs over the whole of it, and no byte
/// is read twice. Memory is bounded by the slots: a piece is begun only when one is free, and in order, so the
/// piece that the caller waits for always has one.
struct OrderedPipeline<Filled: Sendable, Product: Sendable>: Sendable {
    /// How many pieces there are.
    var count: Int
    /// Threads to use, at least 1; at most ``mostThreads`` are.
    var threads: Int
    /// Size of the largest piece, bytes.
    var slotSize: Int
    /// Puts a piece's bytes into the slot; returns how many and whatever `work` needs.
    var fill: @Sendable (Int, UnsafeMutableRawBufferPointer) throws -> (count: Int, value: Filled)
    /// The rest of the work on the piece, while the caller may be looking at the same bytes.
    var work: @Sendable (Int, UnsafeRawBufferPointer, Filled) throws -> Product

    /// With 16 MiB slots and each thread's own file buffers this keeps any operation below 256 MiB. More would
    /// not help: one thread hashes each file from end to end.
    static var mostThreads: Int { 4 }

    private struct State {
        var next = 0
        var free: [Int]
        var holders: [Int]
        var ready: [Int: (slot: Int, count: Int)] = [:]
        var products: [Product?]
        var failure: (any Error)?

        mutating func release(_ slot: Int) {
            holders[slot] -= 1
            if holders[slot] == 0 { free.append(slot) }
        }
    }

    /// Runs all pieces; `consume` is called on this thread, in order, with each piece's bytes.
    ///
    /// - Returns: What `work` made of each piece.
    /// - Throws: The first failure of any closure; by then no thread is at work any more.
    func run(consume: (Int, UnsafeRawBufferPointer) throws -> Void) throws -> [Product] {
        let workers = max(1, min(threads, Self.mostThreads, count))
        let slots = (0..<workers + 2).map { _ in RawBuffer(slotSize) }
        let monitor = Monitor(
            State(
                free: Array(slots.indices), holders: Array(repeating: 0, count: slots.count),
                products: Array(repeating: nil, count: count)))
        let running = Threads(count == 0 ? 0 : workers) { produce(monitor, slots) }
        do {
            if running.count == 0, count > 0 {
                throw CheckpointError(.ioFailure, "no thread could be started", hint: "raise the task limit")
            }
            for index in 0..<count {
                let piece: (slot: Int, count: Int)? = monitor.await { state in
                    if state.failure != nil { return .some(nil) }
                    guard let ready = state.ready.removeValue(forKey: index) else { return nil }
                    return .some(ready)
                }
                guard let piece else { break }
                try consume(index, UnsafeRawBufferPointer(slots[piece.slot].prefix(piece.count)))
                monitor.update { $0.release(piece.slot) }
            }
        } catch {
            monitor.update { $0.failure = $0.failure ?? error }
        }
        running.join()
        let (products, failure) = monitor.update { ($0.products, $0.failure) }
        if let failure { throw failure }
        return products.compactMap { $0 }
    }

    private func produce(_ monitor: Monitor<State>, _ slots: [RawBuffer]) {
        while true {
            let claim: (index: Int, slot: Int)? = monitor.await { state in
                if state.failure != nil || state.next == count { return .some(nil) }
                guard let slot = state.free.popLast() else { return nil }
                state.holders[slot] = 2
                state.next += 1
                return (state.next - 1, slot)
            }
            guard let (index, slot) = claim else { return }
            do {
                let filled = try fill(index, slots[slot].bytes)
                monitor.update { $0.ready[index] = (slot, filled.count) }
                let product = try work(
                    index, UnsafeRawBufferPointer(slots[slot].prefix(filled.count)), filled.value)
                monitor.update { state in
                    state.products[index] = product
                    state.release(slot)
                }
            } catch {
                monitor.update { $0.failure = $0.failure ?? error }
                return
            }
        }
    }
}
