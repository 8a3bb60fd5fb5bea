// SPDX-License-Identifier: Apache-2.0

import Protocol
import Synchronization

/// Reads the tensors and files of one version.
///
/// For use by many threads at once. Every object is checked against its name when it is decoded. The last few
/// are kept, so that reading a tensor piece by piece does not decode them again.
package final class CheckpointReader: Sendable {
    /// The version's manifest.
    package let manifest: Manifest
    /// The manifest's object.
    package let manifestID: Digest
    let store: ObjectStore
    private let positions: [String: Int]
    private let starts: [[Int]]
    private let cache: Mutex<Cache>

    private struct Cache {
        var capacity: Int
        /// Most recently used last.
        var entries: [(id: Digest, bytes: RawBuffer)] = []

        mutating func get(_ id: Digest) -> RawBuffer? {
            guard let index = entries.lastIndex(where: { $0.id == id }) else { return nil }
            let entry = entries.remove(at: index)
            entries.append(entry)
            return entry.bytes
        }

        mutating func keep(_ id: Digest, _ bytes: RawBuffer) {
            if entries.contains(where: { $0.id == id }) { return }
            if entries.count >= capacity { entries.removeFirst() }
            entries.append((id, bytes))
        }
    }

    /// Opens the version that `manifestID` describes.
    /// - Parameter cachedObjects: How many decoded objects (of up to 16 MiB) are kept; one per thread is enough.
    /// - Throws: ``CheckpointError``: `.missing`, `.corrupt`, `.newerFormat`, `.ioFailure`.
    package init(store: ObjectStore, manifestID: Digest, cachedObjects: Int = 4) throws {
        self.store = store
        self.manifestID = manifestID
        manifest = try store.manifest(manifestID)
        starts = manifest.files.map(Manifest.starts)
        var positions: [String: Int] = [:]
        for (index, tensor) in manifest.tensors.enumerated() { positions[tensor.name] = index }
        self.positions = positions
        cache = Mutex(Cache(capacity: max(1, cachedObjects)))
    }

    /// The tensor called `name`, or `nil`.
    package func tensor(named name: String) -> Manifest.Tensor? {
        positions[name].map { manifest.tensors[$0] }
    }

    /// Reads a byte range of a tensor.
    /// - Parameters:
    ///   - bytes: A range within the tensor's `size` bytes.
    ///   - target: As many bytes as the range has; needs no alignment.
    /// - Throws: ``CheckpointError``: `.missing`, `.corrupt`, `.ioFailure`.
    package func read(
        _ tensor: Manifest.Tensor, bytes: Range<Int>, into target: UnsafeMutableRawBufferPointer
    ) throws {
        precondition(bytes.lowerBound >= 0 && bytes.upperBound <= tensor.size, "range outside the tensor")
        try read(
            file: tensor.file, tensor.offset + bytes.lowerBound..<tensor.offset + bytes.upperBound,
            into: target)
    }

    /// All bytes of a tensor, little-endian as stored.
    /// - Throws: ``CheckpointError``: `.missing` also for an unknown name, `.corrupt`, `.ioFailure`.
    package func readTensor(_ name: String) throws -> [UInt8] {
        guard let tensor = tensor(named: name) else {
            throw CheckpointError(.missing, "the version has no tensor \(quoted(name))")
        }
        return try bytes(tensor.size) { try read(tensor, bytes: 0..<tensor.size, into: $0) }
    }

    /// The index of the file called `path`, or `nil`.
    package func file(_ path: String) -> Int? {
        manifest.files.firstIndex { $0.path.utf8.elementsEqual(path.utf8) }
    }

    /// All bytes of a file; meant for side files such as config.json.
    /// - Throws: ``CheckpointError``: `.missing` also for an unknown path, `.corrupt`, `.ioFailure`.
    package func readFile(_ path: String) throws -> [UInt8] {
        guard let index = file(path) else {
            throw CheckpointError(.missing, "the version has no file \(quoted(path))")
        }
        let size = manifest.files[index].size
        return try bytes(size) { try read(file: index, 0..<size, into: $0) }
    }

    /// Checks that the version is whole: every object is there and hashes to its id.
    ///
    /// The manifest is named by its content as well, so that whole objects make whole files; the files' own
    /// SHA-256 are checked where files are made, at export.
    ///
    /// - Parameters:
    ///   - threads: How many threads decode; at most four are used.
    ///   - progress: Called on this thread with bytes done and in all; throwing cancels.
    /// - Throws: ``CheckpointError``: `.missing`, `.corrupt`, `.ioFailure`; and what `progress` throws.
    package func verifyAll(
        threads: Int = 2, progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) throws {
        let total = manifest.size
        var done = 0
        try progress(0, total)
        try stream(Array(manifest.files.indices), threads: threads, hashesFiles: false) { _, bytes in
            done += bytes.count
            try progress(done, total)
        }
    }

    /// Gives the bytes of files in order to `consume`, on this thread, and checks each file's SHA-256 at its end.
    func stream(
        _ files: [Int], threads: Int, hashesFiles: Bool = true,
        consume: (Int, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let pieces = files.flatMap { file in manifest.files[file].regions.map { (file: file, region: $0) } }
        let pipeline = OrderedPipeline<Void, Void>(
            count: pieces.count, threads: threads, slotSize: ChunkPlan.grid,
            fill: { index, slot in
                let region = pieces[index].region
                let target = UnsafeMutableRawBufferPointer(rebasing: slot[..<region.size])
                try self.decode(region, into: target)
                return (region.size, ())
            },
            work: { _, _, _ in })
        var hashes = FileHashes(count: manifest.files.count)
        _ = try pipeline.run { index, bytes in
            if hashesFiles { hashes.update(pieces[index].file, bytes) }
            try consume(pieces[index].file, bytes)
        }
        for file in hashesFiles ? files : [] where hashes.finish(file) != manifest.files[file].sha256 {
            throw CheckpointError(
                .corrupt, "the file \(quoted(manifest.files[file].path)) does not have its SHA-256 any more",
                hint: "run a full store verification")
        }
    }

    /// Decodes a whole region, past the cache.
    func decode(_ region: Manifest.Region, into target: UnsafeMutableRawBufferPointer) throws {
        guard try store.get(region.id, into: target) == region.size else { throw mismatch(region) }
    }

    /// Reads a byte range of a file.
    func read(file: Int, _ range: Range<Int>, into target: UnsafeMutableRawBufferPointer) throws {
        precondition(target.count == range.count, "target of another size than the range")
        if range.isEmpty { return }
        let starts = starts[file]
        var index = Manifest.region(at: range.lowerBound, starts)
        var done = 0
        while done < range.count {
            let region = manifest.files[file].regions[index]
            let first = range.lowerBound + done - starts[index]
            let count = min(region.size - first, range.count - done)
            let part = UnsafeMutableRawBufferPointer(rebasing: target[done..<done + count])
            if count == region.size {
                try decode(region, into: part)
            } else {
                // Held on to: another thread may push it out of the cache while it is copied from.
                let object = try object(region)
                withExtendedLifetime(object) {
                    part.copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: object.bytes[first..<first + count]))
                }
            }
            done += count
            index += 1
        }
    }

    /// Which objects, and where in them, a byte range of a file lies.
    func ranges(file: Int, _ range: Range<Int>) -> [ObjectRange] {
        var found: [ObjectRange] = []
        var at = range.lowerBound
        while at < range.upperBound {
            let index = Manifest.region(at: at, starts[file])
            let end = min(starts[file][index + 1], range.upperBound)
            let start = starts[file][index]
            found.append(
                ObjectRange(id: manifest.files[file].regions[index].id, bytes: at - start..<end - start))
            at = end
        }
        return found
    }

    private func object(_ region: Manifest.Region) throws -> RawBuffer {
        if let bytes = cache.withLock({ $0.get(region.id) }) { return bytes }
        let buffer = RawBuffer(region.size)
        try decode(region, into: buffer.prefix(region.size))
        cache.withLock { $0.keep(region.id, buffer) }
        return buffer
    }

    private func mismatch(_ region: Manifest.Region) -> CheckpointError {
        CheckpointError(
            .corrupt,
            "the manifest \(manifestID.short) gives object \(region.id.short) another size than it has")
    }

    private func bytes(_ count: Int, _ fill: (UnsafeMutableRawBufferPointer) throws -> Void) throws -> [UInt8]
    {
        try [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            try fill(UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: count))
            initialized = count
        }
    }

    /// The tensors that lie in each region of a file: tensor index, range within the tensor, range within the
    /// region. Regions without tensors (headers, side files) have none.
    func segments(file: Int) -> [[TensorSegment]] {
        var found: [[TensorSegment]] = Array(repeating: [], count: manifest.files[file].regions.count)
        for tensor in manifest.tensors where tensor.file == file && tensor.size > 0 {
            for index in tensor.firstRegion..<tensor.firstRegion + tensor.regionCount {
                let start = max(tensor.offset, starts[file][index])
                let end = min(tensor.offset + tensor.size, starts[file][index + 1])
                found[index].append(
                    TensorSegment(
                        tensor: tensor, bytes: start - tensor.offset..<end - tensor.offset,
                        place: start - starts[file][index]..<end - starts[file][index]))
            }
        }
        return found
    }
}

/// Some bytes of an object.
struct ObjectRange: Hashable, Sendable {
    var id: Digest
    var bytes: Range<Int>
}

/// The part of a tensor that lies in one region: what an edit is given at a time.
package struct TensorSegment: Hashable, Sendable {
    /// The whole tensor's entry.
    package var tensor: Manifest.Tensor
    /// Which of the tensor's bytes these are; always whole elements.
    package var bytes: Range<Int>
    /// Where they lie in the region.
    var place: Range<Int>
}
