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
    /// Each batch of 64 is checked again under the lock under which a writer renews an object that it uses.
    package static func run(
        store: ObjectStore, liveManifests: [Digest], cutoff: Int64
    ) throws -> Garbage {
        var freed = Garbage(objects: 0, bytes: 0)
        let garbage = try candidates(store, liveManifests, cutoff)
        for start in stride(from: 0, to: garbage.count, by: 64) {
            let batch = garbage[start..<min(start + 64, garbage.count)]
            try Checkpoints.store("garbage") {
                var directories: Set<String> = []
                try store.whileLocked(exclusive: true) {
                    for entry in batch {
                        let path = store.path(of: entry.id)
                        guard let status = try store.fileSystem.status(path), status.modified < cutoff else {
                            continue
                        }
                        try store.fileSystem.unlink(path)
                        directories.insert(store.directory(of: entry.id))
                        freed.objects += 1
                        freed.bytes += status.size
                    }
                }
                for directory in directories.sorted() { try store.fileSystem.synchronizeDirectory(directory) }
            }
        }
        return freed
    }

    private static func candidates(
        _ store: ObjectStore, _ liveManifests: [Digest], _ cutoff: Int64
    ) throws -> [(id: Digest, size: Int)] {
        // Listed before marking: what appears later is not even looked at.
        let all = try store.list()
        let live = try store.liveObjects(liveManifests)
        return try Checkpoints.store("garbage") {
            try all.compactMap { id in
                guard !live.contains(id), let status = try store.fileSystem.status(store.path(of: id)),
                    status.kind == .regular, status.modified < cutoff
                else { return nil }
                return (id, status.size)
            }
        }
    }
}

extension ObjectStore {
    /// Removes the damaged files in `quarantine/` whose objects neither a given version nor a dataset needs; returns
    /// how many.
    ///
    /// A purge calls it: what was set aside holds the bytes of purged versions as well.
    package func sweepQuarantine(liveManifests: [Digest]) throws -> Int {
        let live = try liveObjects(liveManifests)
        return try store("the quarantine") {
            var swept = 0
            for name in try fileSystem.list(root + "/quarantine") {
                guard let id = Digest(hex: String(name.prefix(64))), !live.contains(id) else { continue }
                try fileSystem.unlink(root + "/quarantine/" + name)
                swept += 1
            }
            if swept > 0 { try fileSystem.synchronizeDirectory(root + "/quarantine") }
            return swept
        }
    }

    /// Every object that the given versions and all datasets need, manifests included.
    func liveObjects(_ manifests: [Digest]) throws -> Set<Digest> {
        var live = Set(manifests)
        for id in Set(manifests) { live.formUnion(try manifest(id).objects) }
        for id in try listDatasets() { live.formUnion(try datasetRegions(id).map(\.id)) }
        return live
    }
}
