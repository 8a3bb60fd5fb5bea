// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Stores chunks of older versions as differences from the chunks that took their place.
///
/// The newer version stays as it is, so that nothing that is read every day gets slower, and purging the older one is
/// still no more than an unlink. A difference is written beside the full file, decoded and compared, synchronised, and
/// only then renamed over it; an object's name and content never change.
package enum StoreOptimizer {
    /// A difference is kept if its file has at most this share of the full one's.
    package static let worthwhile = 0.6

    /// What was done, or would be.
    package struct Report: Hashable, Sendable {
        /// A chunk that could not be read, or whose counterpart could not.
        package struct Damage: Hashable, Sendable {
            package var id: Digest
            package var reason: String
            /// The older versions that it was looked at for.
            package var manifests: [Digest]
        }

        /// Chunks looked at: those of the older versions that the newer ones have changed and that may be differences.
        package var objects = 0
        /// Those that were stored as differences now.
        package var deltas = 0
        /// Bytes of the full files of these.
        package var bytesBefore = 0
        /// Bytes of the differences' files.
        package var bytesAfter = 0
        /// Those that were differences already.
        package var already = 0
        /// Those that are not smaller enough, or would hang on too many others.
        package var unsuitable = 0
        /// Differences that versions which stay in full have come to use, and that were written in full again.
        package var restored = 0
        /// By how much their files grew.
        package var restoredBytes = 0
        package var damaged: [Damage] = []
    }

    /// Goes through the pairs in order.
    ///
    /// - Parameters:
    ///   - pairs: Manifests of versions and of what was made from each, pairs of newer versions first. They stay live
    ///     until this returns.
    ///   - inFull: Manifests of the versions none of whose chunks may be a difference.
    ///   - isDryRun: Everything is computed, nothing is written.
    ///   - progress: Called with chunks done and in all; throwing cancels between two chunks.
    /// - Throws: ``CheckpointError``: `.storageFull`, `.ioFailure`, `.mismatch` while another one runs, and a manifest
    ///   that cannot be read. Damaged chunks are reported, not thrown.
    package static func run(
        store: ObjectStore, pairs: [ManifestPair], inFull: [Digest], isDryRun: Bool = false,
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) throws -> Report {
        try alone(in: store) {
            let fixed = try store.objects(of: inFull)
            let places = try places(store, pairs, fixed)
            var work = Work(store, isDryRun: isDryRun, try store.allBases())
            let toRestore = fixed.filter { work.base[$0] != nil }.sorted()
            let total = toRestore.count + places.count
            try progress(0, total)
            for (index, id) in toRestore.enumerated() {
                try work.restore(id, inFull)
                try progress(index + 1, total)
            }
            for (index, place) in places.enumerated() {
                try work.encode(place)
                try progress(toRestore.count + index + 1, total)
            }
            try work.finish()
            return work.report
        }
    }

    /// Two of these could make two objects differences from each other.
    private static func alone<R>(in store: ObjectStore, _ body: () throws -> R) throws -> R {
        try store.fileSystem.with(store.root + "/optimize.lock", .lock) { descriptor in
            guard try store.fileSystem.lock(descriptor, exclusive: true, wait: false) else {
                throw CheckpointError(
                    .mismatch, "another optimization of this store runs", hint: "wait for it to end")
            }
            return try body()
        }
    }

    /// A chunk and the one that took its place.
    private struct Place {
        var id: Digest
        var base: Digest
        var size: Int
        var dtype: DType?
        var manifest: Digest
    }

    /// Where both versions of a pair have the same part of the same tensors, in other bytes.
    private static func places(
        _ store: ObjectStore, _ pairs: [ManifestPair], _ fixed: Set<Digest>
    ) throws -> [Place] {
        var places: [Place] = []
        var seen: Set<Digest> = []
        // What one pair has as the older version, the next one mostly has as the newer.
        var last: (manifest: Digest, regions: [Part: (region: Manifest.Region, dtype: DType?, order: Int)])?
        for pair in pairs {
            let newer =
                if let last, last.manifest == pair.child { last.regions } else {
                    try regions(store, pair.child)
                }
            let older = try regions(store, pair.parent)
            last = (pair.parent, older)
            for (part, region) in older.sorted(by: { $0.value.order < $1.value.order }) {
                guard let other = newer[part], other.region.size == region.region.size,
                    other.region.id != region.region.id, !fixed.contains(region.region.id),
                    seen.insert(region.region.id).inserted
                else { continue }
                places.append(
                    Place(
                        id: region.region.id, base: other.region.id, size: region.region.size,
                        dtype: region.dtype, manifest: pair.parent))
            }
        }
        return places
    }

    /// What of which tensors lies in a region.
    private struct Part: Hashable {
        var tensors: [String]
        var dtypes: [DType]
        var ranges: [Range<Int>]
    }

    /// The regions of a version that hold parts of tensors, by what they hold.
    private static func regions(
        _ store: ObjectStore, _ manifest: Digest
    ) throws -> [Part: (region: Manifest.Region, dtype: DType?, order: Int)] {
        let reader = try CheckpointReader(store: store, manifestID: manifest, cachedObjects: 1)
        var found: [Part: (region: Manifest.Region, dtype: DType?, order: Int)] = [:]
        for file in Set(reader.manifest.tensors.map(\.file)).sorted() {
            let segments = reader.segments(file: file)
            for (region, segments) in zip(reader.manifest.files[file].regions, segments)
            where !segments.isEmpty {
                let dtypes = Set(segments.map(\.tensor.dtype))
                let part = Part(
                    tensors: segments.map(\.tensor.name), dtypes: segments.map(\.tensor.dtype),
                    ranges: segments.map(\.bytes))
                found[part] = (region, dtypes.count == 1 ? dtypes.first : nil, found.count)
            }
        }
        return found
    }

    /// One run.
    private struct Work {
        let store: ObjectStore
        let isDryRun: Bool
        /// Of every delta, its base.
        var base: [Digest: Digest]
        /// The deltas with a given base.
        var dependents: [Digest: Set<Digest>] = [:]
        var report = Report()
        private var transaction: StoreTransaction?
        private var unsynchronized = 0
        private let content = RawBuffer(ChunkPlan.grid)
        private let counterpart = RawBuffer(ChunkPlan.grid)

        init(_ store: ObjectStore, isDryRun: Bool, _ base: [Digest: Digest]) {
            self.store = store
            self.isDryRun = isDryRun
            self.base = base
            for (id, base) in base { dependents[base, default: []].insert(id) }
        }

        /// Stores a chunk as a difference, if that is worth it.
        mutating func encode(_ place: Place) throws {
            report.objects += 1
            guard base[place.id] == nil else {
                report.already += 1
                return
            }
            guard fits(place) else {
                report.unsuitable += 1
                return
            }
            let raw = content.prefix(place.size)
            let other = counterpart.prefix(place.size)
            guard let info = try read(place.id, into: raw, place),
                try read(place.base, into: other, place) != nil
            else { return }
            let size: Int? = try Checkpoints.store("object \(place.id.short)") {
                try store.codecs.with { codec in
                    let file = try codec.encode(
                        UnsafeRawBufferPointer(raw), id: place.id, kind: info.kind, dtype: place.dtype,
                        base: ObjectCodec.Base(
                            id: place.base, bytes: UnsafeRawBufferPointer(other), fullSize: info.storedSize))
                    let size = try store.sizeOnDisk(file)
                    guard Double(size) <= worthwhile * Double(info.storedSize) else { return nil }
                    if !isDryRun { try publish(file, place.id) }
                    return size
                }
            }
            guard let size else {
                report.unsuitable += 1
                return
            }
            base[place.id] = place.base
            dependents[place.base, default: []].insert(place.id)
            report.deltas += 1
            report.bytesBefore += info.storedSize
            report.bytesAfter += size
        }

        /// Writes an object in full again.
        mutating func restore(_ id: Digest, _ manifests: [Digest]) throws {
            guard let info = try? store.stat(id) else { return }
            let raw = content.prefix(info.rawSize)
            guard try read(id, into: raw, nil) != nil else { return }
            let size = try Checkpoints.store("object \(id.short)") {
                try store.codecs.with { codec in
                    let file = try codec.encode(
                        UnsafeRawBufferPointer(raw), id: id, kind: info.kind, dtype: info.dtype)
                    if !isDryRun { try publish(file, id) }
                    return try store.sizeOnDisk(file)
                }
            }
            if let old = base.removeValue(forKey: id) { dependents[old]?.remove(id) }
            report.restored += 1
            report.restoredBytes += size - info.storedSize
        }

        /// Makes durable what is left to.
        mutating func finish() throws {
            try transaction?.sync()
            transaction?.close()
            transaction = nil
        }

        /// Whether no chain would get too long, or come back to where it began.
        private func fits(_ place: Place) -> Bool {
            var below = 1
            var next = base[place.base]
            while let id = next {
                guard id != place.id, below < ObjectStore.deepest else { return false }
                below += 1
                next = base[id]
            }
            guard place.base != place.id else { return false }
            var above = 0
            var level = dependents[place.id] ?? []
            while !level.isEmpty {
                above += 1
                guard above + below <= ObjectStore.deepest else { return false }
                level = Set(level.flatMap { dependents[$0] ?? [] })
            }
            return true
        }

        /// Reads one of a place's two chunks; `nil` when it is damaged, which is reported.
        private mutating func read(
            _ id: Digest, into target: UnsafeMutableRawBufferPointer, _ place: Place?
        ) throws -> ObjectStore.Info? {
            do {
                guard let info = try store.stat(id) else {
                    throw CheckpointError(.missing, "object \(id.short) is not there")
                }
                guard try store.get(id, into: target) == target.count else {
                    throw CheckpointError(
                        .corrupt, "object \(id.short) has another size than its version says")
                }
                return info
            } catch let error as CheckpointError where error.code == .corrupt || error.code == .missing {
                report.damaged.append(
                    Report.Damage(
                        id: id, reason: error.message, manifests: place.map { [$0.manifest] } ?? []))
                return nil
            }
        }

        /// Puts a file in an object's place.
        private mutating func publish(_ file: UnsafeRawBufferPointer, _ id: Digest) throws {
            if transaction == nil {
                // Before the first difference: a program that does not know of them must not open the store.
                if try !store.usesDeltas() {
                    try StoreFormat.add(.deltas, root: store.root, store.fileSystem)
                }
                transaction = try store.begin()
            }
            try transaction?.replace(store.path(of: id), by: file)
            unsynchronized += 1
            if unsynchronized % 64 == 0 { try transaction?.sync() }
        }
    }
}

extension ObjectStore {
    /// What the given versions consist of.
    func objects(of manifests: [Digest]) throws -> Set<Digest> {
        try Set(manifests).reduce(into: []) { $0.formUnion(try objects(ofManifest: $1)) }
    }

    /// The bases of all objects there are.
    fileprivate func allBases() throws -> [Digest: Digest] {
        let all = try list()
        return try store("the objects") { try bases(under: all) }
    }
}
