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
    /// What a file of the object held cannot be opened any more, with any key ring that is left.
    case isSealedForGood(Digest, [UInt8])
    /// The master key opens no key ring any more.
    case masterGone(MasterKey)
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
    private var sealed: [(Digest, [UInt8])] = []
    private var mastersGone: Set<String> = []

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
        case .isSealedForGood(let id, let bytes): sealed.append((id, bytes))
        case .masterGone(let master): mastersGone.insert(master.id)
        }
    }

    /// What is broken in a store that is opened on `disk` after the crash; `nil` when nothing is.
    ///
    /// - Parameter known: Every version that the scenario makes. One whose manifest is there is whole, promised or
    ///   not, unless it was given up: that is what lets a lost database be rebuilt from the objects.
    func violation(_ disk: SimulatedDisk, known: Set<Digest>, masters: [MasterKey] = []) -> String? {
        let fileSystem = SimulatedFileSystem(disk)
        do {
            for master in masters {
                if let words = try reopened(fileSystem, master) { return words }
            }
            let ring = try Self.ring(fileSystem, masters)
            let store = try ObjectStore(root: CrashTrace.root, keys: ring, fileSystem: fileSystem)
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
            if !masters.isEmpty, let plain = try plainFile(fileSystem, objects) {
                return "\(plain.short) is plain"
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

    /// The ring, opened with the first master key that fits.
    private static func ring(_ fileSystem: SimulatedFileSystem, _ masters: [MasterKey]) throws -> KeyRing? {
        var failure: CheckpointError?
        for master in masters {
            do {
                return try KeyRing.open(
                    root: CrashTrace.root, master: master, making: true, fileSystem: fileSystem)
            } catch let error as CheckpointError where error.code == .locked { failure = error }
        }
        if let failure { throw failure }
        return nil
    }

    /// What one of the key rings on the disk, whatever its number, still opens of what was destroyed.
    private func reopened(_ fileSystem: SimulatedFileSystem, _ master: MasterKey) throws -> String? {
        let keys = CrashTrace.root + "/keys"
        guard !sealed.isEmpty || mastersGone.contains(master.id), try fileSystem.status(keys) != nil else {
            return nil
        }
        for name in try fileSystem.list(keys) where name.hasPrefix("ring.") {
            let probe = "/probe-" + name
            let ring = try fileSystem.bytes(keys + "/" + name)
            try fileSystem.place(ring, probe + "/keys/" + name)
            // One that was overwritten in part opens nothing.
            guard
                let opened = try? KeyRing.open(
                    root: probe, master: master, making: false, fileSystem: fileSystem)
            else { continue }
            if mastersGone.contains(master.id) { return "the master key \(master.id) still opens \(name)" }
            let store = try ObjectStore(root: probe, keys: opened, fileSystem: fileSystem)
            for (id, bytes) in sealed {
                try fileSystem.place(bytes, store.objectPath(id))
                if (try? store.get(id)) != nil { return "\(name) still has a key of \(id.short)" }
            }
        }
        return nil
    }

    private func plainFile(_ fileSystem: SimulatedFileSystem, _ objects: Set<Digest>) throws -> Digest? {
        try objects.first { id in
            let hex = id.hex
            let path = "\(CrashTrace.root)/objects/\(hex.prefix(2))/\(hex.dropFirst(2).prefix(2))/\(hex)"
            return try !fileSystem.bytes(path).starts(with: Array("ULE1".utf8))
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
