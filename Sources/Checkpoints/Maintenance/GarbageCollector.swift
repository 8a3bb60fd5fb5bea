// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Removes objects that neither a live version nor a dataset needs.
package enum GarbageCollector {
    /// How much would go, or went.
    package struct Garbage: Hashable, Sendable {
        package var objects: Int
        /// Bytes of their files.
        package var bytes: Int
    }

    /// What ``run(store:liveManifests:cutoff:)`` would remove now.
    ///
    /// - Parameters:
    ///   - liveManifests: Every version that must stay.
    ///   - cutoff: Nanoseconds since 1970; objects written or asked for at or after it stay, whoever needs them.
    ///     Earlier than the start of any writer whose version is not live yet.
    /// - Throws: ``CheckpointError``: a live manifest or dataset that cannot be read stops everything.
    package static func plan(
        store: ObjectStore, liveManifests: [Digest], cutoff: Int64
    ) throws -> Garbage {
        let garbage = try candidates(store, liveManifests, cutoff)
        return Garbage(objects: garbage.count, bytes: garbage.reduce(0) { $0 + $1.size })
    }

    /// Removes the garbage, beside readers and writers; see ``plan(store:liveManifests:cutoff:)``.
    ///
    /// Each batch of 64 is checked again under the lock under which a writer renews an object that it uses. Differences
    /// go, durably, before what they are differences from, so that a loss of power leaves none without its base. Of other
    /// objects a loss of power may bring some back: whole ones, which the next collection takes.
    ///
    /// - Parameter durably: Nothing comes back once this has returned, of what earlier collections removed either.
    package static func run(
        store: ObjectStore, liveManifests: [Digest], cutoff: Int64, durably: Bool = false
    ) throws -> Garbage {
        var freed = Garbage(objects: 0, bytes: 0)
        // One call for the whole file system: nearly every object lies in a directory of its own.
        func settle() throws { try store.fileSystem.synchronizeFileSystem(of: store.root) }
        for level in levels(try candidates(store, liveManifests, cutoff)) {
            for start in stride(from: 0, to: level.count, by: 64) {
                try Checkpoints.store("garbage") {
                    try store.whileLocked(exclusive: true) {
                        for entry in level[start..<min(start + 64, level.count)] {
                            let path = store.path(of: entry.id)
                            guard let status = try store.fileSystem.status(path), status.modified < cutoff
                            else { continue }
                            try store.fileSystem.unlink(path)
                            freed.objects += 1
                            freed.bytes += status.size
                        }
                    }
                }
            }
            // Whatever these were differences from may go next, here or in a later collection.
            if level.contains(where: { $0.base != nil }) { try Checkpoints.store("garbage", settle) }
        }
        if durably { try Checkpoints.store("garbage", settle) }
        return freed
    }

    private struct Candidate {
        var id: Digest
        /// Bytes of its file.
        var size: Int
        /// What it is a difference from.
        var base: Digest?
    }

    /// In parts, none together with, or after, what it is a difference from.
    private static func levels(_ garbage: [Candidate]) -> [[Candidate]] {
        let bases = garbage.filter { $0.base != nil }
        var level: [Digest: Int] = [:]
        // As often as a chain is long; a ring, which nobody can read, ends here too.
        for _ in 0..<ObjectStore.deepest {
            for candidate in bases {
                guard let base = candidate.base else { continue }
                level[base] = max(
                    level[base, default: 0],
                    min(level[candidate.id, default: 0] + 1, ObjectStore.deepest))
            }
        }
        return Dictionary(grouping: garbage) { level[$0.id, default: 0] }.sorted { $0.key < $1.key }.map(
            \.value)
    }

    private static func candidates(
        _ store: ObjectStore, _ liveManifests: [Digest], _ cutoff: Int64
    ) throws -> [Candidate] {
        // Listed before marking: what appears later is not even looked at.
        let all = try store.list()
        let live = try store.liveObjects(liveManifests)
        return try Checkpoints.store("garbage") {
            var young: [Digest] = []
            var old: [Candidate] = []
            for id in all where !live.contains(id) {
                guard let status = try store.fileSystem.status(store.path(of: id)), status.kind == .regular
                else { continue }
                if status.modified < cutoff {
                    old.append(Candidate(id: id, size: status.size))
                } else {
                    young.append(id)
                }
            }
            guard try store.usesDeltas() else { return old }
            // What a writer may have begun to use must stay readable.
            let needed = Set(try store.bases(under: young).values)
            return try old.filter { !needed.contains($0.id) }.map { candidate in
                var candidate = candidate
                candidate.base = try store.base(of: candidate.id)
                return candidate
            }
        }
    }
}

extension ObjectStore {
    /// Removes the damaged files in `quarantine/` whose objects neither a given version nor a dataset needs, and those
    /// that may be differences from such; returns how many.
    ///
    /// A purge calls it: what was set aside holds the bytes of purged versions as well.
    package func sweepQuarantine(liveManifests: [Digest]) throws -> Int {
        let live = try neededObjects(liveManifests)
        return try store("the quarantine") {
            let usesDeltas = try usesDeltas()
            var swept = 0
            for name in try fileSystem.list(root + "/quarantine") {
                let path = root + "/quarantine/" + name
                guard let id = Digest(hex: String(name.prefix(64))) else { continue }
                // A head that cannot be read does not tell from what.
                let mayStay =
                    !usesDeltas || ((try? head(path)).map { $0.base.map(live.contains) ?? true } ?? false)
                if live.contains(id), mayStay { continue }
                try fileSystem.unlink(path)
                swept += 1
            }
            if swept > 0 { try fileSystem.synchronizeDirectory(root + "/quarantine") }
            return swept
        }
    }

    /// Every object that the given versions and all datasets need, manifests included, and what those are differences
    /// from.
    func liveObjects(_ manifests: [Digest]) throws -> Set<Digest> {
        let needed = try neededObjects(manifests)
        return try store("the objects") { needed.union(try bases(under: needed).values) }
    }

    /// Every object that the given versions and all datasets name, manifests included.
    func neededObjects(_ manifests: [Digest]) throws -> Set<Digest> {
        var needed = Set(manifests)
        for id in Set(manifests) { needed.formUnion(try objects(ofManifest: id)) }
        for id in try listDatasets() { needed.formUnion(try datasetRegions(id).map(\.id)) }
        return needed
    }
}
