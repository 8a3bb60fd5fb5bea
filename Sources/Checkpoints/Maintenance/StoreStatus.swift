// SPDX-License-Identifier: Apache-2.0

import Protocol

/// How much the store holds.
package struct StoreStatus: Hashable, Sendable {
    /// Bytes of the live versions' files, each distinct chunk counted once.
    package var rawBytes: Int
    /// Bytes of those chunks' object files.
    package var storedBytes: Int
    /// How many distinct chunks the live versions have.
    package var objects: Int
    /// How many versions were counted.
    package var versions: Int
    /// Objects that no live version and no dataset needs.
    package var garbageObjects: Int
    /// Bytes of their files.
    package var garbageBytes: Int
    /// Chunks of live versions that are stored as differences from others.
    package var deltaObjects = 0
    /// How many bytes more their files would have if they were stored in full.
    package var deltaSavedBytes = 0

    /// Counts.
    /// - Complexity: reads the live manifests and the sizes of all objects' files, their heads where there are
    ///   differences, no content.
    /// - Throws: ``CheckpointError``: `.missing`, `.corrupt`, `.ioFailure`.
    package static func compute(store: ObjectStore, liveManifests: [Digest]) throws -> StoreStatus {
        var status = StoreStatus(
            rawBytes: 0, storedBytes: 0, objects: 0, versions: liveManifests.count, garbageObjects: 0,
            garbageBytes: 0)
        var sizes: [Digest: Int] = [:]
        var needed = Set(liveManifests)
        for id in Set(liveManifests) {
            let regions = try store.regions(ofManifest: id)
            for region in regions.files { sizes[region.id] = region.size }
            needed.formUnion(regions.attachments.lazy.map(\.id))
        }
        needed.formUnion(sizes.keys)
        status.objects = sizes.count
        status.rawBytes = sizes.values.reduce(0, +)
        for id in try store.listDatasets() { needed.formUnion(try store.datasetRegions(id).map(\.id)) }
        let live = try Checkpoints.store("the objects") {
            needed.union(try store.bases(under: needed).values)
        }
        try Checkpoints.store("the objects") {
            let usesDeltas = try store.usesDeltas()
            for id in try store.list() {
                guard let file = try store.fileSystem.status(store.path(of: id)) else { continue }
                if sizes[id] != nil {
                    status.storedBytes += file.size
                    if usesDeltas, let info = try? store.stat(id), info.base != nil {
                        status.deltaObjects += 1
                        status.deltaSavedBytes += info.fullSize - info.storedSize
                    }
                }
                if !live.contains(id) {
                    status.garbageObjects += 1
                    status.garbageBytes += file.size
                }
            }
        }
        return status
    }
}
