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

    /// Counts.
    /// - Complexity: reads the live manifests and the sizes of all objects' files, no content.
    /// - Throws: ``CheckpointError``: `.missing`, `.corrupt`, `.ioFailure`.
    package static func compute(store: ObjectStore, liveManifests: [Digest]) throws -> StoreStatus {
        var status = StoreStatus(
            rawBytes: 0, storedBytes: 0, objects: 0, versions: liveManifests.count, garbageObjects: 0,
            garbageBytes: 0)
        var sizes: [Digest: Int] = [:]
        for id in Set(liveManifests) {
            for file in try store.manifest(id).files {
                for region in file.regions { sizes[region.id] = region.size }
            }
        }
        status.objects = sizes.count
        status.rawBytes = sizes.values.reduce(0, +)
        let live = try store.liveObjects(liveManifests)
        try Checkpoints.store("the objects") {
            for id in try store.list() {
                guard let file = try store.fileSystem.status(store.path(of: id)) else { continue }
                if sizes[id] != nil { status.storedBytes += file.size }
                if !live.contains(id) {
                    status.garbageObjects += 1
                    status.garbageBytes += file.size
                }
            }
        }
        return status
    }
}
