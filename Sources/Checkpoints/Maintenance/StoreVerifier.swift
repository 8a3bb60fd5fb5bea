// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Looks for damage in a store.
package enum StoreVerifier {
    /// How closely.
    package enum Level: String, Hashable, Sendable, CaseIterable {
        /// Every object's head, its checksum and the file's size.
        case quick
        /// And every stored byte's checksum, without decompressing.
        case stored
        /// Every object is decoded and hashed.
        case full
    }

    /// Which objects are looked at, and for how long.
    package struct Extent: Hashable, Sendable {
        /// The share of them, drawn anew each time.
        package var share: Double
        /// The object after which to begin, in the order of the names.
        package var after: Digest?
        /// Seconds after which no more are begun; some are looked at however short it is.
        package var seconds: Double?

        /// All of them, unless something else is said.
        package init(share: Double = 1, after: Digest? = nil, seconds: Double? = nil) {
            self.share = share
            self.after = after
            self.seconds = seconds
        }
    }

    /// What was found.
    package struct Report: Hashable, Sendable {
        /// A damaged object.
        package struct Corrupt: Hashable, Sendable {
            package var id: Digest
            package var reason: String
            /// The versions that need it.
            package var manifests: [Digest]
        }

        /// An object that is not there.
        package struct Missing: Hashable, Sendable {
            package var id: Digest
            /// The versions that need it.
            package var manifests: [Digest]
        }

        /// Objects looked at.
        package var objects = 0
        /// Objects that there are, or ought to be.
        package var total = 0
        /// Where in their order it stopped: 0 for none, `total` for all.
        package var position = 0
        /// The last object looked at, where the time was over before all were.
        package var stoppedAt: Digest?
        /// Bytes of their files.
        package var bytes = 0
        package var corrupt: [Corrupt] = []
        package var missing: [Missing] = []
        /// Datasets whose own list cannot be read, and why.
        package var corruptDatasets: [Digest: String] = [:]

        /// Whether nothing is wrong.
        package var isSound: Bool { corrupt.isEmpty && missing.isEmpty && corruptDatasets.isEmpty }
    }

    /// Objects that are begun between two looks at the clock.
    private static let batch = 32

    /// Checks every object in the store and every one that the given versions and the datasets need, or those of them
    /// that `extent` says.
    ///
    /// An object is read through what it is a difference from, so damage there is found with either; the versions named
    /// are all that need it, through whatever differences.
    ///
    /// - Parameters:
    ///   - manifestIDs: The versions that ought to be whole.
    ///   - quarantine: Move damaged objects out of the way, so that storing the same bytes again heals them. Only what
    ///     reads as damaged a second time is moved: a fault of the memory must not cost a sound object.
    ///   - progress: Called on this thread with objects done and in all; throwing cancels.
    /// - Throws: ``CheckpointError`` `.ioFailure` where nothing can be said; and what `progress` throws. Damage is
    ///   reported, not thrown.
    package static func run(
        store: ObjectStore, manifestIDs: [Digest], level: Level, extent: Extent = Extent(), threads: Int = 2,
        quarantine: Bool = false,
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) throws -> Report {
        var report = Report()
        var users: [Digest: Set<Digest>] = [:]
        for id in Set(manifestIDs) {
            users[id, default: []].insert(id)
            // A manifest that cannot be read shows up as an object below.
            guard let objects = try? store.objects(ofManifest: id) else { continue }
            for object in objects { users[object, default: []].insert(id) }
        }
        for id in try store.listDatasets() {
            do {
                for region in try store.datasetRegions(id) { users[region.id, default: []].formUnion([]) }
            } catch let error as CheckpointError {
                report.corruptDatasets[id] = error.message
            }
        }
        var all = Set(try store.list()).union(users.keys)
        let bases = try Checkpoints.store("the objects") { try store.bases(under: all, skipsLocked: true) }
        all.formUnion(bases.values)
        passDown(bases, &users)
        let ordered = all.sorted()
        let ids = Array(chosen(from: ordered, extent))
        let end = extent.seconds.map { ContinuousClock.now + .seconds($0) }
        report.total = ordered.count
        report.position = ordered.count - (extent.share < 1 ? 0 : ids.count)
        try progress(0, ids.count)
        var done = 0
        while done < ids.count {
            let part = ids[done..<min(done + (end == nil ? ids.count : batch), ids.count)]
            let first = done
            // A head alone is read sooner than a thread is woken.
            let group = level == .quick ? batch : 1
            let pipeline = OrderedPipeline<[Finding], [Finding]>(
                count: (part.count + group - 1) / group, threads: threads, slotSize: 0,
                fill: { index, _ in
                    let ids = part.dropFirst(index * group).prefix(group)
                    return (0, try ids.map { try check($0, store, level) })
                },
                work: { $2 })
            let findings = try pipeline.run { index, _ in
                try progress(first + min((index + 1) * group, part.count), ids.count)
            }
            for (id, finding) in zip(part, findings.joined()) {
                try note(finding, id, users[id], store, level, quarantine, &report)
            }
            done += part.count
            if let end, done < ids.count, ContinuousClock.now >= end {
                report.stoppedAt = part.last
                break
            }
        }
        report.position = extent.share < 1 ? done : report.position + done
        return report
    }

    /// The objects to look at, in order.
    private static func chosen(from all: [Digest], _ extent: Extent) -> ArraySlice<Digest> {
        var chosen = all[...]
        if let after = extent.after { chosen = chosen.drop { $0 <= after } }
        guard extent.share < 1 else { return chosen }
        let count = Int((Double(chosen.count) * extent.share).rounded(.up))
        return chosen.shuffled().prefix(max(count, 1)).sorted()[...]
    }

    /// Writes down what was found of one object; `users`: who needs it, `nil` for nobody.
    private static func note(
        _ finding: Finding, _ id: Digest, _ users: Set<Digest>?, _ store: ObjectStore, _ level: Level,
        _ quarantine: Bool, _ report: inout Report
    ) throws {
        var manifests: [Digest] { (users ?? []).sorted() }
        switch finding {
        case .sound(let size):
            report.objects += 1
            report.bytes += size
        case .missing:
            // Nobody's object may be collected while this runs.
            if users != nil { report.missing.append(Report.Missing(id: id, manifests: manifests)) }
        case .corrupt(var reason):
            report.objects += 1
            if quarantine {
                switch try check(id, store, level) {
                case .corrupt: try store.quarantine(id)
                case .sound:
                    reason += "; a second reading found it whole, so it stays: suspect the memory or the disk"
                case .missing, .unknown: break
                }
            }
            report.corrupt.append(Report.Corrupt(id: id, reason: reason, manifests: manifests))
        case .unknown(let reason):
            report.objects += 1
            report.corrupt.append(Report.Corrupt(id: id, reason: reason, manifests: manifests))
        }
    }

    /// Whoever needs an object needs what it is a difference from.
    private static func passDown(_ bases: [Digest: Digest], _ users: inout [Digest: Set<Digest>]) {
        for (object, manifests) in users {
            var seen: Set = [object]
            var next = bases[object]
            while let base = next, seen.insert(base).inserted {
                users[base, default: []].formUnion(manifests)
                next = bases[base]
            }
        }
    }

    private enum Finding: Sendable {
        case sound(Int)
        case missing
        case corrupt(String)
        /// Not sound as far as this version can tell, but nothing to be moved away.
        case unknown(String)
    }

    private static func check(_ id: Digest, _ store: ObjectStore, _ level: Level) throws -> Finding {
        do {
            guard let info = try store.stat(id) else { return .missing }
            switch level {
            case .quick: break
            case .stored: try store.check(id)
            case .full:
                // A manifest must also be one. A difference itself is looked at first: it stays where it is when only
                // its base is damaged, which may be healed.
                if info.base != nil {
                    try store.check(id)
                } else if info.kind == .manifest {
                    _ = try store.manifest(id)
                } else {
                    _ = try store.get(id)
                }
            }
            if info.base != nil { return try through(id, store, level, info.storedSize) }
            return .sound(info.storedSize)
        } catch let error as CheckpointError {
            switch error.code {
            case .missing: return .missing
            case .corrupt: return .corrupt(error.message)
            case .newerFormat, .ioFailure, .locked: return .unknown(error.message)
            default: throw error
            }
        }
    }

    /// Checks a sound difference together with what it is one from.
    private static func through(_ id: Digest, _ store: ObjectStore, _ level: Level, _ size: Int) throws
        -> Finding
    {
        do {
            if level == .full {
                _ = try store.get(id)
            } else {
                try Checkpoints.store("object \(id.short)") {
                    _ = try store.bases(of: try store.head(store.path(of: id)))
                }
            }
            return .sound(size)
        } catch let error as CheckpointError where error.code == .corrupt {
            // Of its own content it would be: the checksums of what is stored hold, its base may not.
            return isWhole(id, store) ? .corrupt(error.message) : .unknown(error.message)
        }
    }

    /// Whether what a difference is one from can be read.
    private static func isWhole(_ id: Digest, _ store: ObjectStore) -> Bool {
        guard let base = try? store.base(of: id) else { return true }
        return (try? store.get(base)) != nil
    }
}
