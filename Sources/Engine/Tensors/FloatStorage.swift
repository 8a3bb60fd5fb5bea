// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A block of f32 values, 64-byte aligned, zero at first, freed with its owner.
///
/// Owns memory and nothing else: shapes and names are the business of ``ParameterTable``. Threads may use
/// disjoint parts at the same time; whoever shares a part orders the accesses.
package final class FloatStorage: @unchecked Sendable {
    /// How many values there are.
    package let count: Int
    /// The first value.
    package let base: UnsafeMutablePointer<Float>

    /// Which pages hold the values.
    package enum Pages: Sendable {
        /// Large ones where they are to be had: weights are read in long runs, which spares most of the address translation.
        case large
        /// The smallest, so that what is in use is all that takes memory.
        case small
    }

    /// Maps `count` zeros. Pages are touched, and so become resident, only when they are used.
    ///
    /// - Throws: ``EngineError`` with `.resources` if the memory is not to be had.
    package init(count: Int, pages: Pages = .large) throws(EngineError) {
        precondition(count >= 0, "a storage cannot hold \(count) values")
        let bytes = max(count, 1) * MemoryLayout<Float>.stride
        let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let memory, memory != MAP_FAILED else {
            throw EngineError(
                .resources, "no memory for \(bytes) bytes of f32 values",
                hint: "Free memory or use a smaller batch size or maximum length.")
        }
        #if os(Linux)
            madvise(memory, bytes, pages == .large ? MADV_HUGEPAGE : MADV_NOHUGEPAGE)
        #endif
        self.count = count
        self.base = memory.bindMemory(to: Float.self, capacity: max(count, 1))
    }

    deinit { munmap(base, max(count, 1) * MemoryLayout<Float>.stride) }

    /// Sets every value to zero.
    package func clear() { clear([0..<count]) }

    /// Sets the values of `ranges` to zero.
    package func clear(_ ranges: [Range<Int>]) {
        for range in ranges {
            memset(base + range.lowerBound, 0, range.count * MemoryLayout<Float>.stride)
        }
    }

    /// Gives back the memory of the whole pages in `range`, which are zero then; what it has of other pages stays as it is.
    func release(_ range: Range<Int>) {
        #if os(Linux)
            let page = Int(getpagesize()) / MemoryLayout<Float>.stride
            let first = (range.lowerBound + page - 1) / page * page
            let end = range.upperBound / page * page
            guard first < end else { return }
            madvise(base + first, (end - first) * MemoryLayout<Float>.stride, MADV_DONTNEED)
        #endif
    }

    /// All values.
    package var buffer: UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(start: base, count: count)
    }

    /// A copy of the values of `range`.
    package func values(_ range: Range<Int>) -> [Float] {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "\(range) is outside 0..<\(count)")
        return Array(UnsafeBufferPointer(start: base + range.lowerBound, count: range.count))
    }
}
