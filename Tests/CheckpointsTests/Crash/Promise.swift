// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Protocol

/// What a caller was told, which must hold after any crash from then on.
enum Promise {
    /// The version can be read, every byte of it.
    case version(Digest)
    /// The version is about to be collected: nothing is promised of it any more.
    case giveUp(Digest)
    /// The text can be read.
    case dataset([UInt8])
    /// The text is about to be removed.
    case giveUpDataset(Digest)
    /// The text was removed and does not come back.
    case datasetGone(Digest)
    /// The object can be read.
    case object(Digest)
    /// The object is about to be moved aside.
    case giveUpObject(Digest)
    /// These objects were removed and do not come back.
    case objectsGone(Set<Digest>)
    /// A damaged object was moved aside: it is there, and no longer where it would be read.
    case quarantined(Digest)
    /// The generation of a backup is whole.
    case generation(Int)
    /// The object is stored as a difference, or in full; `nil` while that changes.
    case isDifference(Digest, Bool?)
}

/// All that holds at one moment, and what the store must be whatever was promised.
struct Promises {
    private var versions: Set<Digest> = []
    private var collected: Set<Digest> = []
    private var datasets: [Digest: [UInt8]] = [:]
    private var single: Set<Digest> = []
    private var datasetsGone: Set<Digest> = []
    private var objectsGone: Set<Digest> = []
    private var quarantined: Set<Digest> = []
    private var generations: Set<Int> = []
    private var differences: [Digest: Bool] = [:]

    mutating func take(_ promise: Promise) {
        switch promise {
        case .version(let id): versions.insert(id)
        case .giveUp(let id):
            versions.remove(id)
            collected.insert(id)
        case .dataset(let text): datasets[ContentHash.of(text)] = text
        case .giveUpDataset(let id): datasets[id] = nil
        case .datasetGone(let id): datasetsGone.insert(id)
        case .object(let id): single.insert(id)
        case .giveUpObject(let id): single.remove(id)
        case .objectsGone(let ids): objectsGone.formUnion(ids)
        case .quarantined(let id): quarantined.insert(id)
        case .generation(let number): generations.insert(number)
        case .isDifference(let id, let isOne): differences[id] = isOne
        }
    }

    /// What is broken in a store that is opened on `disk` after the crash; `nil` when nothing is.
    ///
    /// - Parameter known: Every version that the scenario makes. One whose manifest is there is whole, promised or
    ///   not, unless it was given up: that is what lets a lost database be rebuilt from the objects.
    func violation(_ disk: SimulatedDisk, known: Set<Digest>) -> String? {
        let fileSystem = SimulatedFileSystem(disk)
        do {
            let store = try ObjectStore(root: CrashTrace.root, fileSystem: fileSystem)
            let objects = Set(try store.list())
            for id in versions.union(known.subtracting(collected).intersection(objects)) {
                try CheckpointReader(store: store, manifestID: id).verifyAll(threads: 1)
            }
            for id in single { _ = try store.get(id) }
            for (id, text) in datasets where try store.readDataset(id) != text { return "another text" }
            if let back = try store.listDatasets().first(where: datasetsGone.contains) {
                return "the dataset \(back.short) came back"
            }
            if let back = objects.intersection(objectsGone.union(quarantined)).first {
                return "the object \(back.short) came back"
            }
            let aside = try fileSystem.list(CrashTrace.root + "/quarantine")
            for id in quarantined where !aside.contains(where: { $0.hasPrefix(id.hex) }) {
                return "the damaged object \(id.short) is not in quarantine"
            }
            for (id, isOne) in differences where (try store.stat(id)?.base != nil) != isOne {
                return "the object \(id.short) is not stored as it was"
            }
            if let delta = try objects.first(where: { try store.stat($0)?.base != nil }) {
                let format = try fileSystem.text(CrashTrace.root + "/FORMAT")
                for list in ["read", "write", "check", "delete"] {
                    let features = try StrictJSON.parse(format)[list]
                    guard features == ["deltas"] else { return "\(delta.short) where FORMAT has \(format)" }
                }
            }
            let report = try StoreVerifier.run(store: store, manifestIDs: [], level: .full, threads: 1)
            return report.isSound ? nil : "damage: \(report)"
        } catch {
            return "\(error)"
        }
    }

    /// What is broken in a backup; `nil` when nothing is. Every generation that can be seen is whole, promised or not.
    func backupViolation(_ fileSystem: any FileSystem, root: String) -> String? {
        do {
            let backup = try BackupDirectory(root: root, making: true, fileSystem: fileSystem)
            let found = try backup.generations()
            let lost = generations.subtracting(found)
            guard lost.isEmpty else { return "the generations \(lost.sorted()) are lost" }
            for number in found {
                let manifest = try backup.manifest(number)
                let copy = "\(root)/check-\(number)"
                try backup.copyDatabase(of: manifest, to: copy)
                try fileSystem.unlink(copy)
                for object in manifest.objects { _ = try backup.store.get(object.id) }
                for id in manifest.manifests {
                    try CheckpointReader(store: backup.store, manifestID: id).verifyAll(threads: 1)
                }
                for id in manifest.datasets { _ = try backup.store.readDataset(id) }
            }
            let back = try backup.store.list().first(where: objectsGone.contains)
            return back.map { "the object \($0.short) came back" }
        } catch {
            return "\(error)"
        }
    }
}
