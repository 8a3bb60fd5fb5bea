// SPDX-License-Identifier: Apache-2.0

import Protocol

/// What has to happen to differences before what they are differences from goes for good.
extension ObjectStore {
    /// Writes in full what the given versions and the datasets need and is stored as a difference from something that
    /// none of them needs, so that this can be removed and leaves nothing behind.
    ///
    /// - Parameters:
    ///   - liveManifests: Every version that must stay.
    ///   - givesUpDamaged: Whether what cannot be read any more is removed instead of left: what it was to be read by
    ///     goes, and it would tell of that.
    /// - Returns: How many objects, and the bytes of their files now.
    /// - Throws: ``CheckpointError``: `.storageFull` says how much is to be written; `.corrupt`, `.ioFailure`.
    package func detach(liveManifests: [Digest], givesUpDamaged: Bool) throws -> (objects: Int, bytes: Int) {
        guard try store("the store", usesDeltas) else { return (0, 0) }
        let needed = try neededObjects(liveManifests)
        let hanging = try store("the objects") {
            try needed.filter { try self.base(of: $0).map { !needed.contains($0) } ?? false }.sorted()
        }
        guard !hanging.isEmpty else { return (0, 0) }
        var written = (objects: 0, bytes: 0)
        do {
            let transaction = try begin()
            defer { transaction.close() }
            for id in hanging {
                let content: [UInt8]
                do {
                    content = try get(id)
                } catch let error as CheckpointError where error.code == .corrupt {
                    if givesUpDamaged { _ = try remove(id) }
                    continue
                }
                // What is there as a difference counts as not there, so this writes it in full.
                let stored = try transaction.put(content, kind: .chunk, dtype: try stat(id)?.dtype)
                written.objects += 1
                written.bytes += stored.stored
            }
            try transaction.sync()
        } catch let error as CheckpointError where error.code == .storageFull {
            let rest = hanging.compactMap { (try? stat($0)) ?? nil }.filter { $0.base != nil }
            let bytes = rest.reduce(0) { $0 + $1.fullSize }
            throw CheckpointError(
                .storageFull,
                "\(rest.count) objects of versions that stay are stored as differences from what is to go, and must first be written in full: about \(bytes >> 10) KiB; the disk is full",
                hint: "free so much space and try again; nothing was destroyed for lack of it")
        }
        return written
    }
}
