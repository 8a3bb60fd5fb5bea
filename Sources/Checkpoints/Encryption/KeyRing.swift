// SPDX-License-Identifier: Apache-2.0

import Protocol
import Synchronization

/// The keys of an encrypted store: `keys/ring.<n>`, sealed with a master key that is kept elsewhere.
///
/// Each change writes ring n+1 whole and durably before ring n is overwritten and removed, so that a loss of power
/// leaves one or the other, and nothing that was destroyed is in a file that is left. One process at a time writes it.
///
/// ```
/// 0   "ULK1" | version u8 (1) | 0 u8 × 3 | n u64 | master key's id [16] | salt [32] | length of the table u64
/// 72  the ``KeyTable``, sealed with a key that comes of the master key and the salt | tag [16]
/// ```
package final class KeyRing: StoreKeys {
    private static let magic = Array("ULK1".utf8)
    private static let headSize = 72
    private static let longest = 1 << 30
    private static let prefix = "ring."
    /// Of a ring that is being written.
    private static let unfinished = "ring-new."

    private struct State {
        var generation: Int
        var master: MasterKey
        var keys: [KeyName: VersionKey]
        var destroyed = 0
        /// Lent and not given back.
        var inUse: Set<KeyName> = []
        var watchers: [Int: @Sendable (String) -> Void] = [:]
        var nextWatcher = 0
    }

    private let directory: String
    private let fileSystem: any FileSystem
    private let state: Mutex<State>
    /// Held by whoever writes the file; readers of keys do not wait for the disk.
    private let writing = Mutex(())

    // MARK: Opening

    private init(_ directory: String, _ fileSystem: any FileSystem, _ state: State) {
        self.directory = directory
        self.fileSystem = fileSystem
        self.state = Mutex(state)
    }

    /// Opens the ring of the store at `root`, or makes an empty one where the store is new.
    ///
    /// - Parameters:
    ///   - making: Whether one may be made.
    ///   - cleaning: Whether what a loss of power left of older rings is destroyed: only for the one who writes.
    /// - Throws: ``CheckpointError``: `.locked` for another master key, `.missing`, `.corrupt`, `.newerFormat`,
    ///   `.ioFailure`, `.storageFull`.
    package static func open(
        root: String, master: MasterKey, making: Bool, cleaning: Bool = true,
        fileSystem: any FileSystem = PosixFileSystem()
    ) throws -> KeyRing {
        let directory = root + "/keys"
        return try store("the key ring in \(directory)") {
            let generations = try generations(directory, fileSystem)
            guard let newest = generations.last else {
                guard making else {
                    throw CheckpointError(
                        .missing, "the key ring \(directory)/\(prefix)N is not there",
                        hint: "without it nothing in the store can be read: restore a backup")
                }
                if try fileSystem.makeDirectory(root, mode: 0o700) { try synchronizeParent(root, fileSystem) }
                if try fileSystem.makeDirectory(directory, mode: 0o700) {
                    try fileSystem.synchronizeDirectory(root)
                }
                let ring = KeyRing(
                    directory, fileSystem, State(generation: 0, master: master, keys: [:]))
                try ring.clean()
                try ring.change { _ in }
                return ring
            }
            let (keys, destroyed) = try read(
                "\(directory)/\(prefix)\(newest)", newest, master, fileSystem)
            let ring = KeyRing(
                directory, fileSystem,
                State(
                    generation: newest, master: master,
                    keys: Dictionary(keys.map { ($0.name, $0) }) { first, _ in first }, destroyed: destroyed))
            if cleaning { try ring.clean() }
            return ring
        }
    }

    private static func synchronizeParent(_ root: String, _ fileSystem: any FileSystem) throws {
        guard let slash = root.lastIndex(of: "/"), slash > root.startIndex else { return }
        try fileSystem.synchronizeDirectory(String(root[..<slash]))
    }

    private static func generations(_ directory: String, _ fileSystem: any FileSystem) throws -> [Int] {
        guard try fileSystem.status(directory) != nil else { return [] }
        return try fileSystem.list(directory).compactMap { name in
            guard name.hasPrefix(prefix), let number = Int(name.dropFirst(prefix.count)), number > 0
            else { return nil }
            return name == "\(prefix)\(number)" ? number : nil
        }.sorted()
    }

    private static func read(
        _ path: String, _ generation: Int, _ master: MasterKey, _ fileSystem: any FileSystem
    ) throws -> (keys: [VersionKey], destroyed: Int) {
        func broken(_ why: String) -> CheckpointError {
            CheckpointError(
                .corrupt, "\(path) is damaged: \(why)",
                hint: "without the key ring nothing in the store can be read: restore a backup")
        }
        guard let status = try fileSystem.status(path), status.kind == .regular, status.size <= longest
        else { throw broken("it is not a file of a key ring's size") }
        var bytes = [UInt8](repeating: 0, count: status.size)
        let count = try fileSystem.with(path, .read) { descriptor in
            try bytes.withUnsafeMutableBytes { try fileSystem.read(descriptor, into: $0, at: 0) }
        }
        func number(_ at: Int) -> UInt64 { bytes[at..<at + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) } }
        guard count == bytes.count, count >= headSize + SealingKey.tagSize, bytes.starts(with: magic) else {
            throw broken("it does not begin as one")
        }
        guard bytes[4] == 1, bytes[5..<8].allSatisfy({ $0 == 0 }) else {
            throw CheckpointError(
                .newerFormat, "\(path) has a newer format: version \(bytes[4])",
                hint: "use the version that wrote it")
        }
        let id = String(decoding: bytes[16..<32], as: UTF8.self)
        guard id == master.id else {
            let known = id.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
            throw known
                ? CheckpointError(
                    .locked, "\(path) is sealed with the master key \(id), and the one given is \(master.id)",
                    hint: "give the master key \(id); after unlearnd rekey it is the new one")
                : broken("its head names no master key")
        }
        let size = count - headSize - SealingKey.tagSize
        guard number(8) == UInt64(generation), number(64) == UInt64(size) else {
            throw broken("its head does not fit its name and size")
        }
        var table = [UInt8](repeating: 0, count: size)
        let isOpen = bytes.withUnsafeBytes { file in
            table.withUnsafeMutableBytes { table in
                master.ringKey(salt: Array(file[32..<64])).open(
                    UnsafeRawBufferPointer(rebasing: file[headSize...]), counter: 0,
                    bound: Array(file[..<headSize]), into: table)
            }
        }
        guard isOpen, let keys = KeyTable.keys(table) else { throw broken("its seal is broken") }
        return keys
    }

    // MARK: Keys

    /// Counts the writings of the ring.
    package var generation: Int { state.withLock { $0.generation } }
    /// How many keys were destroyed since the ring was made.
    package var destroyed: Int { state.withLock { $0.destroyed } }
    /// The master key's id.
    package var masterID: String { state.withLock { $0.master.id } }
    /// How many keys it holds: those of all that a job or an upload wrote, and those of single files.
    package var count: (versions: Int, files: Int) {
        state.withLock { state in
            state.keys.values.reduce(into: (0, 0)) { count, key in
                if case .files(let files) = key.form { count.1 += files.count } else { count.0 += 1 }
            }
        }
    }

    package func key(_ name: KeyName) -> VersionKey? { state.withLock { $0.keys[name] } }

    package func lend() throws -> VersionKey {
        let key = VersionKey(created: Timestamp.now.milliseconds)
        // First, so that no thinning takes it for one that nobody writes with.
        state.withLock { _ = $0.inUse.insert(key.name) }
        do {
            try store("the key ring in \(directory)") { try change { $0.keys[key.name] = key } }
        } catch {
            giveBack(key.name)
            throw error
        }
        let watchers = state.withLock { Array($0.watchers.values) }
        if !watchers.isEmpty {
            let text = KeyTable.text(KeyTable.bytes([key]))
            for watcher in watchers { watcher(text) }
        }
        return key
    }

    package func giveBack(_ name: KeyName) { state.withLock { _ = $0.inUse.remove(name) } }

    /// What a worker is handed.
    package struct Handed: Sendable {
        /// All keys, for ``HandedKeys/take(_:writing:)``.
        package let keys: String
        /// The name of the one to write with.
        package let writing: String?
        fileprivate let watcher: Int?
        fileprivate let lent: KeyName?
    }

    /// Hands the keys to a worker, until ``take(back:)``.
    ///
    /// - Parameters:
    ///   - writes: Whether it gets one to write with.
    ///   - watcher: Gets each key that is added meanwhile, before anything is written with it.
    /// - Throws: ``CheckpointError`` of the disk.
    package func hand(
        writes: Bool, watcher: (@Sendable (_ keys: String) -> Void)? = nil
    ) throws -> Handed {
        // First, so that no key is added between.
        let number = watcher.map { watcher in
            state.withLock { state in
                state.nextWatcher += 1
                state.watchers[state.nextWatcher] = watcher
                return state.nextWatcher
            }
        }
        do {
            let key = writes ? try lend() : nil
            let table = state.withLock { KeyTable.bytes($0.keys.values) }
            return Handed(
                keys: KeyTable.text(table), writing: key.map { KeyTable.text($0.name.bytes) },
                watcher: number,
                lent: key?.name)
        } catch {
            state.withLock { state in number.map { state.watchers[$0] = nil } }
            throw error
        }
    }

    /// The worker is gone.
    package func take(back handed: Handed) {
        state.withLock { state in
            if let watcher = handed.watcher { state.watchers[watcher] = nil }
            if let lent = handed.lent { state.inUse.remove(lent) }
        }
    }

    // MARK: Destroying

    /// What a thinning did.
    package struct Thinning: Hashable, Sendable {
        /// Keys that were destroyed: of all that a job or an upload wrote, and of single files.
        package var destroyed = 0
        /// Keys of single files that are kept, since these are needed.
        package var kept = 0
        /// Keys with which jobs write right now; they stay as they are.
        package var inUse = 0
        /// The ring without them.
        package var generation = 0
    }

    /// Destroys every key that no file in `store` is sealed with, but for those that are being written with, and
    /// writes the ring anew.
    ///
    /// - Throws: ``CheckpointError`` of the disk; the keys are all there then.
    package func thin(to objects: ObjectStore) throws -> Thinning {
        // Whoever gave a key back has written what it would; nobody gets it again.
        let idle = state.withLock { Set($0.keys.keys).subtracting($0.inUse) }
        let files = Dictionary(grouping: try objects.sealedFiles()) { $0.key }
        return try store("the key ring in \(directory)") {
            var thinning = Thinning()
            try change { new in
                for name in idle {
                    guard var key = new.keys[name] else { continue }
                    let done = key.keep(files[name] ?? [])
                    thinning.destroyed += done.seeds + done.files
                    thinning.kept += done.kept
                    new.keys[name] = key.isEmpty ? nil : key
                }
                new.destroyed += thinning.destroyed
                thinning.inUse = new.keys.count { !idle.contains($0.key) }
            }
            thinning.generation = generation
            return thinning
        }
    }

    /// Seals the ring with another master key. The old one opens nothing afterwards but copies of older rings.
    /// - Throws: ``CheckpointError`` of the disk.
    package func rekey(_ master: MasterKey) throws {
        try store("the key ring in \(directory)") { try change { $0.master = master } }
    }

    // MARK: The file

    /// Changes the ring on disk, and then in memory.
    private func change(_ body: (inout State) -> Void) throws {
        try writing.withLock { _ in
            var new = state.withLock { $0 }
            body(&new)
            new.generation += 1
            try write(KeyTable.bytes(new.keys.values, destroyed: new.destroyed), new.master, new.generation)
            // The number is used, whatever comes now: the file must not be replaced, but destroyed like others.
            let (generation, master, keys, destroyed) = (new.generation, new.master, new.keys, new.destroyed)
            state.withLock { $0.generation = generation }
            try fileSystem.synchronizeDirectory(directory)
            // Who writes and who watches may have changed meanwhile, and is nobody's business here.
            state.withLock { ($0.master, $0.keys, $0.destroyed) = (master, keys, destroyed) }
            try clean(below: generation)
        }
    }

    private func write(_ table: [UInt8], _ master: MasterKey, _ generation: Int) throws {
        let salt = SealingKey().bytes
        var head = Self.magic + [1, 0, 0, 0]
        KeyTable.append(UInt64(generation), to: &head)
        head += Array(master.id.utf8) + salt
        KeyTable.append(UInt64(table.count), to: &head)
        let sealed = try table.withUnsafeBytes {
            try master.ringKey(salt: salt).seal($0, counter: 0, bound: head)
        }
        let temporary = "\(directory)/\(Self.unfinished)\(randomName())"
        do {
            try fileSystem.with(temporary, .create) { descriptor in
                try (head + sealed).withUnsafeBytes { try fileSystem.write(descriptor, $0) }
                try fileSystem.synchronize(descriptor)
            }
            try fileSystem.rename(temporary, to: "\(directory)/\(Self.prefix)\(generation)")
        } catch {
            try? destroy(temporary)
            throw error
        }
    }

    /// Destroys older rings and unfinished ones.
    private func clean() throws {
        guard try fileSystem.status(directory) != nil else { return }
        // The name of the newest must last before the others go.
        try fileSystem.synchronizeDirectory(directory)
        try clean(below: generation)
    }

    private func clean(below generation: Int) throws {
        var isChanged = false
        for name in try fileSystem.list(directory) {
            let number = name.hasPrefix(Self.prefix) ? Int(name.dropFirst(Self.prefix.count)) : nil
            guard name.hasPrefix(Self.unfinished) || number.map({ $0 < generation }) == true else { continue }
            try destroy("\(directory)/\(name)")
            isChanged = true
        }
        if isChanged { try fileSystem.synchronizeDirectory(directory) }
    }

    /// Overwrites a file where it lies, and removes it.
    private func destroy(_ path: String) throws {
        try fileSystem.with(path, .update) { descriptor in
            let size = try fileSystem.status(descriptor).size
            try [UInt8](repeating: 0, count: size).withUnsafeBytes { try fileSystem.write(descriptor, $0) }
            try fileSystem.synchronize(descriptor)
        }
        try fileSystem.unlink(path)
    }
}
