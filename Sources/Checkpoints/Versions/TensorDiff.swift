// SPDX-License-Identifier: Apache-2.0

/// How one tensor differs between two versions A and B.
package struct TensorDifference: Hashable, Sendable {
    /// The tensor's name.
    package var tensor: String
    /// Whether any byte, the dtype or the shape differs, or it is only in one.
    package var changed: Bool
    /// ‖B − A‖₂; `nil` where values cannot be compared.
    package var l2: Double?
    /// ‖B − A‖₂ / ‖A‖₂; `nil` where A is zero or values cannot be compared.
    package var relativeL2: Double?
    /// Largest |b − a|; `nil` where values cannot be compared.
    package var maxAbs: Double?
    /// Share of the elements whose bits differ; values, if the dtypes differ.
    package var changedFraction: Double?
    /// The type in A, or in B if only there.
    package var dtype: DType
    /// The shape in A, or in B if only there.
    package var shape: [Int]
    /// What else there is to say: `only in A`, other types or shapes, values that are not finite.
    package var note: String?
}

/// Compares two versions tensor by tensor.
package enum TensorDiff {
    /// Bytes of A in one piece of work: what a chunk holds, so that each is decoded once.
    private static let piece = ChunkPlan.grid

    /// Compares all tensors, by name.
    ///
    /// Arithmetic is in f64 and does not depend on the number of threads. Tensors made of the same objects in both
    /// are hardly read. In others, elements that are not finite in A or B are left out of the norms and counted in
    /// the note.
    ///
    /// - Parameter progress: Called on this thread with bytes done and in all; throwing cancels.
    /// - Returns: A's tensors in its order, then those only in B.
    /// - Throws: ``CheckpointError``: `.missing`, `.corrupt`, `.ioFailure`; and what `progress` throws.
    package static func compare(
        a: CheckpointReader, b: CheckpointReader, threads: Int = 2,
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) throws -> [TensorDifference] {
        var found: [TensorDifference] = []
        var pieces: [Piece] = []
        for tensor in a.manifest.tensors {
            var difference = TensorDifference(
                tensor: tensor.name, changed: true, dtype: tensor.dtype, shape: tensor.shape)
            if let other = b.tensor(named: tensor.name) {
                if other.shape != tensor.shape {
                    difference.note = "shape is \(other.shape) in B"
                } else if other.dtype != tensor.dtype, !(other.dtype.isDecodable && tensor.dtype.isDecodable)
                {
                    difference.note = "dtype is \(other.dtype.rawValue) in B"
                } else if other.dtype != tensor.dtype, other.dtype.components != tensor.dtype.components {
                    difference.note = "dtype is \(other.dtype.rawValue) in B"
                } else {
                    difference.changed = other.dtype != tensor.dtype
                    if difference.changed { difference.note = "dtype is \(other.dtype.rawValue) in B" }
                    if !difference.changed, a.objects(tensor) == b.objects(other) {
                        pieces.append(
                            Piece(
                                index: found.count, a: tensor, b: other, bytesA: 0..<tensor.size,
                                bytesB: 0..<other.size, identical: true))
                    } else {
                        pieces += cut(tensor, other, index: found.count)
                    }
                }
            } else {
                difference.note = "only in A"
            }
            found.append(difference)
        }
        for tensor in b.manifest.tensors where a.tensor(named: tensor.name) == nil {
            found.append(
                TensorDifference(
                    tensor: tensor.name, changed: true, dtype: tensor.dtype, shape: tensor.shape,
                    note: "only in B"))
        }
        let total = pieces.reduce(0) { $0 + $1.bytesA.count }
        var done = 0
        try progress(0, total)
        let pipeline = OrderedPipeline<Partial, Partial>(
            count: pieces.count, threads: threads, slotSize: 0,
            fill: { [pieces] index, _ in (0, try pieces[index].compare(a, b)) }, work: { $2 })
        let partials = try pipeline.run { [pieces] index, _ in
            done += pieces[index].bytesA.count
            try progress(done, total)
        }
        var sums = [Int: Partial]()
        for (piece, partial) in zip(pieces, partials) { sums[piece.index, default: Partial()].add(partial) }
        for index in found.indices {
            // An empty tensor that is in both has no pieces and no difference.
            let compared = found[index].note.map { $0.hasPrefix("dtype") } ?? true
            guard let sum = sums[index] ?? (compared && found[index].shape.contains(0) ? Partial() : nil)
            else {
                continue
            }
            sum.fill(&found[index])
        }
        return found
    }

    private static func cut(_ a: Manifest.Tensor, _ b: Manifest.Tensor, index: Int) -> [Piece] {
        stride(from: 0, to: a.size, by: piece).map { start in
            let end = min(start + piece, a.size)
            // Same elements in B, whose type may have another width.
            let first = start * 8 / a.dtype.bits * b.dtype.bits / 8
            let last = end * 8 / a.dtype.bits * b.dtype.bits / 8
            return Piece(
                index: index, a: a, b: b, bytesA: start..<end, bytesB: first..<last, identical: false)
        }
    }

    /// Sums over some elements.
    private struct Partial: Sendable {
        var squaredDifference = 0.0
        var squaredBase = 0.0
        var largest = 0.0
        var elements = 0
        var changed = 0
        var notFinite = 0
        var comparable = true
        var bytesDiffer = false

        mutating func add(_ other: Partial) {
            squaredDifference += other.squaredDifference
            squaredBase += other.squaredBase
            largest = max(largest, other.largest)
            elements += other.elements
            changed += other.changed
            notFinite += other.notFinite
            comparable = comparable && other.comparable
            bytesDiffer = bytesDiffer || other.bytesDiffer
        }

        /// Adds pairs of values.
        mutating func addValues(
            _ a: UnsafeMutableBufferPointer<Double>, _ b: UnsafeMutableBufferPointer<Double>
        ) {
            for index in a.indices {
                let (x, y) = (a[index], b[index])
                guard x.isFinite, y.isFinite else {
                    notFinite += 1
                    continue
                }
                let difference = y - x
                squaredDifference += difference * difference
                squaredBase += x * x
                largest = max(largest, abs(difference))
            }
        }

        func fill(_ difference: inout TensorDifference) {
            difference.changed = difference.changed || bytesDiffer
            guard comparable else {
                difference.note = "values of \(difference.dtype.rawValue) are compared as bytes only"
                return
            }
            difference.l2 = squaredDifference.squareRoot()
            difference.relativeL2 = squaredBase > 0 ? (squaredDifference / squaredBase).squareRoot() : nil
            difference.maxAbs = largest
            difference.changedFraction = elements > 0 ? Double(changed) / Double(elements) : 0
            if notFinite > 0 {
                let text = "\(notFinite) elements are not finite"
                difference.note = difference.note.map { "\($0); \(text)" } ?? text
            }
        }
    }

    private struct Piece: Sendable {
        var index: Int
        var a: Manifest.Tensor
        var b: Manifest.Tensor
        var bytesA: Range<Int>
        var bytesB: Range<Int>
        /// The whole tensor, which lies in the same places of the same objects in A and B.
        var identical: Bool

        func compare(_ readerA: CheckpointReader, _ readerB: CheckpointReader) throws -> Partial {
            if identical { return try confirmNotZero(readerA) }
            var partial = Partial()
            let rawA = RawBuffer(bytesA.count)
            let rawB = RawBuffer(bytesB.count)
            let (viewA, viewB) = (rawA.prefix(bytesA.count), rawB.prefix(bytesB.count))
            try readerA.read(a, bytes: bytesA, into: viewA)
            try readerB.read(b, bytes: bytesB, into: viewB)
            let same =
                a.dtype == b.dtype && equal(UnsafeRawBufferPointer(viewA), UnsafeRawBufferPointer(viewB))
            partial.bytesDiffer = !same
            partial.elements = bytesA.count * 8 / a.dtype.bits
            guard a.dtype.isDecodable, b.dtype.isDecodable else {
                partial.comparable = same
                return partial
            }
            let count = partial.elements * a.dtype.components
            let values = UnsafeMutableBufferPointer<Double>.allocate(capacity: 2 * Self.block)
            defer { values.deallocate() }
            // Short blocks keep the doubles in the cache.
            for start in stride(from: 0, to: count, by: Self.block) {
                let length = min(Self.block, count - start)
                let left = UnsafeMutableBufferPointer(rebasing: values[..<length])
                let right = UnsafeMutableBufferPointer(rebasing: values[Self.block..<Self.block + length])
                a.dtype.decode(Self.slice(viewA, start, length, a.dtype), into: left)
                if !same { b.dtype.decode(Self.slice(viewB, start, length, b.dtype), into: right) }
                partial.addValues(left, same ? left : right)
            }
            if !same { partial.changed = changedElements(viewA, viewB, count) }
            return partial
        }

        /// The sums of an unchanged tensor: only whether its norm is zero is of interest, and mostly the
        /// first bytes tell.
        private func confirmNotZero(_ reader: CheckpointReader) throws -> Partial {
            var partial = Partial()
            partial.elements = bytesA.count * 8 / a.dtype.bits
            guard a.dtype.isDecodable else { return partial }
            let width = a.dtype.bits / 8 / a.dtype.components
            let raw = RawBuffer(Self.block * width)
            let values = UnsafeMutableBufferPointer<Double>.allocate(capacity: Self.block)
            defer { values.deallocate() }
            for start in stride(from: 0, to: bytesA.count, by: Self.block * width) {
                let view = raw.prefix(min(Self.block * width, bytesA.count - start))
                try reader.read(a, bytes: start..<start + view.count, into: view)
                let part = UnsafeMutableBufferPointer(rebasing: values[..<(view.count / width)])
                a.dtype.decode(UnsafeRawBufferPointer(view), into: part)
                partial.addValues(part, part)
                if partial.squaredBase > 0 { break }
            }
            return partial
        }

        private static let block = 4096

        private static func slice(
            _ view: UnsafeMutableRawBufferPointer, _ start: Int, _ length: Int, _ dtype: DType
        ) -> UnsafeRawBufferPointer {
            let width = dtype.bits / 8 / dtype.components
            return UnsafeRawBufferPointer(rebasing: view[start * width..<(start + length) * width])
        }

        private func changedElements(
            _ viewA: UnsafeMutableRawBufferPointer, _ viewB: UnsafeMutableRawBufferPointer, _ count: Int
        ) -> Int {
            func differing<T: BitwiseCopyable & Equatable>(_ type: T.Type) -> Int {
                var changed = 0
                for index in 0..<viewA.count / MemoryLayout<T>.size {
                    let at = index * MemoryLayout<T>.size
                    let left = viewA.loadUnaligned(fromByteOffset: at, as: type)
                    changed += left == viewB.loadUnaligned(fromByteOffset: at, as: type) ? 0 : 1
                }
                return changed
            }
            guard a.dtype == b.dtype else {
                var changed = 0
                withUnsafeTemporaryAllocation(of: Double.self, capacity: 2) { pair in
                    let left = UnsafeMutableBufferPointer(rebasing: pair[0..<1])
                    let right = UnsafeMutableBufferPointer(rebasing: pair[1..<2])
                    for index in 0..<count {
                        a.dtype.decode(Self.slice(viewA, index, 1, a.dtype), into: left)
                        b.dtype.decode(Self.slice(viewB, index, 1, b.dtype), into: right)
                        changed += left[0] == right[0] || (left[0].isNaN && right[0].isNaN) ? 0 : 1
                    }
                }
                return changed
            }
            switch a.dtype.bits {
            case 8: return differing(UInt8.self)
            case 16: return differing(UInt16.self)
            case 32: return differing(UInt32.self)
            default: return differing(UInt64.self)
            }
        }
    }
}

extension CheckpointReader {
    /// Which objects, and where in them, a tensor's bytes lie.
    fileprivate func objects(_ tensor: Manifest.Tensor) -> [ObjectRange] {
        ranges(file: tensor.file, tensor.offset..<tensor.offset + tensor.size)
    }
}
