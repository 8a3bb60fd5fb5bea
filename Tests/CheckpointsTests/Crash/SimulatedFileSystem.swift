// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Files in memory that remember every change and every synchronisation, in order.
final class SimulatedFileSystem: FileSystem {
    /// What happened.
    enum Event {
        case change(SimulatedDisk.Change)
        /// Bytes of a file, or entries of a directory, became durable.
        case synchronize(node: Int)
        /// Everything so far became durable.
        case synchronizeAll
        /// The caller was told of success, or gave a promise up.
        case promise(Promise)
    }

    fileprivate struct State {
        var disk: SimulatedDisk
        var events: [Event] = []
        var descriptors: [Int32: (node: Int, position: Int)] = [:]
        var nextDescriptor: Int32 = 100
        var nextNode: Int
    }

    private let state: Mutex<State>

    /// A computer that starts with this on its disk.
    init(_ disk: SimulatedDisk = SimulatedDisk()) {
        state = Mutex(State(disk: disk, nextNode: (disk.nodes.keys.max() ?? 0) + 1))
    }

    var events: [Event] { state.withLock { $0.events } }

    func record(_ promise: Promise) { state.withLock { $0.events.append(.promise(promise)) } }

    /// A descriptor of a file that is not on the disk, to import from.
    func source(_ bytes: [UInt8]) -> Int32 {
        state.withLock { state in
            let node = state.nextNode
            state.nextNode += 1
            state.disk.apply(.write(node: node, at: 0, bytes))
            return state.describe(node)
        }
    }

    /// A short file's text.
    func text(_ path: String) throws -> String { String(decoding: try bytes(path), as: UTF8.self) }

    /// A file's bytes.
    func bytes(_ path: String) throws -> [UInt8] {
        let descriptor = try open(path, .read)
        defer { try? close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: try status(descriptor).size)
        _ = try bytes.withUnsafeMutableBytes { try read(descriptor, into: $0, at: 0) }
        return bytes
    }

    /// Puts a file in its place, making the directories above it.
    func place(_ bytes: [UInt8], _ path: String) throws {
        for slash in path.indices.dropFirst() where path[slash] == "/" {
            _ = try makeDirectory(String(path[..<slash]), mode: 0o700)
        }
        if try status(path) != nil { try unlink(path) }
        let descriptor = try open(path, .create)
        defer { try? close(descriptor) }
        try bytes.withUnsafeBytes { try write(descriptor, $0) }
    }

    private func with<R: Sendable>(
        _ operation: String, _ path: String = "", _ body: (inout State) throws(Failure) -> R
    ) throws(FileSystemError) -> R {
        let result: Result<R, Failure> = state.withLock { state in
            do throws(Failure) { return .success(try body(&state)) } catch { return .failure(error) }
        }
        switch result {
        case .success(let value): return value
        case .failure(let failure): throw FileSystemError(operation, path, failure.number)
        }
    }

    private struct Failure: Error {
        var number: Int32
        init(_ number: Int32) { self.number = number }
    }

    func open(_ path: String, _ mode: FileOpenMode) throws(FileSystemError) -> Int32 {
        try with("open", path) { state throws(Failure) in
            let found = state.disk.node(path)
            switch mode {
            case .read, .directory, .update:
                guard let found else { throw Failure(ENOENT) }
                if mode == .directory, state.disk.nodes[found]?.isDirectory != true { throw Failure(ENOTDIR) }
                return state.describe(found)
            case .create, .lock:
                if let found {
                    if mode == .create { throw Failure(EEXIST) }
                    return state.describe(found)
                }
                return state.describe(try Self.add(path, isDirectory: false, &state))
            }
        }
    }

    /// Makes a new node and its name.
    private static func add(_ path: String, isDirectory: Bool, _ state: inout State) throws(Failure) -> Int {
        let (directory, name) = try parent(path, state)
        let node = state.nextNode
        state.nextNode += 1
        state.change(.name(directory: directory, name, node: node, isDirectory: isDirectory))
        return node
    }

    private static func parent(_ path: String, _ state: State) throws(Failure) -> (Int, String) {
        guard let slash = path.lastIndex(of: "/"), let directory = state.disk.node(path[..<slash]) else {
            throw Failure(ENOENT)
        }
        return (directory, String(path[path.index(after: slash)...]))
    }

    func close(_ descriptor: Int32) throws(FileSystemError) {
        state.withLock { _ = $0.descriptors.removeValue(forKey: descriptor) }
    }

    func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) throws(FileSystemError) {
        let copy = Array(bytes)
        try with("write") { state throws(Failure) in
            guard let (node, position) = state.descriptors[descriptor] else { throw Failure(EBADF) }
            // In two halves, since a disk writes sectors and not calls.
            let half = copy.count / 2
            state.change(.write(node: node, at: position, Array(copy[..<half])))
            state.change(.write(node: node, at: position + half, Array(copy[half...])))
            state.descriptors[descriptor]?.position = position + copy.count
        }
    }

    func read(
        _ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(FileSystemError) -> Int {
        let bytes = try with("read") { state throws(Failure) in
            guard let node = state.descriptors[descriptor]?.node else { throw Failure(EBADF) }
            return state.disk.nodes[node]?.bytes ?? []
        }
        let rest = bytes.dropFirst(offset).prefix(buffer.count)
        buffer.copyBytes(from: rest)
        return rest.count
    }

    func synchronize(_ descriptor: Int32) throws(FileSystemError) {
        try with("fsync") { state throws(Failure) in
            guard let node = state.descriptors[descriptor]?.node else { throw Failure(EBADF) }
            state.events.append(.synchronize(node: node))
        }
    }

    func synchronizeData(_ descriptor: Int32) throws(FileSystemError) { try synchronize(descriptor) }

    func synchronizeDirectory(_ path: String) throws(FileSystemError) {
        try with("fsync", path) { state throws(Failure) in
            guard let node = state.disk.node(path) else { throw Failure(ENOENT) }
            state.events.append(.synchronize(node: node))
        }
    }

    func synchronizeFileSystem(of path: String) throws(FileSystemError) {
        try with("syncfs", path) { state throws(Failure) in
            guard state.disk.node(path) != nil else { throw Failure(ENOENT) }
            state.events.append(.synchronizeAll)
        }
    }

    func setMode(_ descriptor: Int32, _ mode: UInt32) throws(FileSystemError) {
        try with("chmod") { state throws(Failure) in
            guard let node = state.descriptors[descriptor]?.node else { throw Failure(EBADF) }
            state.change(.mode(node: node, mode))
        }
    }

    func touch(_ path: String) throws(FileSystemError) {
        try with("utimensat", path) { state throws(Failure) in
            if state.disk.node(path) == nil { throw Failure(ENOENT) }
        }
    }

    func rename(_ from: String, to: String) throws(FileSystemError) {
        try with("rename", to) { state throws(Failure) in
            guard let node = state.disk.node(from) else { throw Failure(ENOENT) }
            let (old, new) = (try Self.parent(from, state), try Self.parent(to, state))
            if old.0 == new.0 {
                state.change(.rename(directory: old.0, old.1, to: new.1, node: node))
            } else {
                // Two directories, so two changes: nothing promises that they last together.
                state.change(.name(directory: new.0, new.1, node: node, isDirectory: false))
                state.change(.unname(directory: old.0, old.1))
            }
        }
    }

    func link(_ from: String, to: String) throws(FileSystemError) {
        try with("link", to) { state throws(Failure) in
            guard let node = state.disk.node(from) else { throw Failure(ENOENT) }
            if state.disk.node(to) != nil { throw Failure(EEXIST) }
            let (directory, name) = try Self.parent(to, state)
            state.change(.name(directory: directory, name, node: node, isDirectory: false))
        }
    }

    func unlink(_ path: String) throws(FileSystemError) {
        try with("unlink", path) { state throws(Failure) in
            if state.disk.node(path) == nil { throw Failure(ENOENT) }
            let (directory, name) = try Self.parent(path, state)
            state.change(.unname(directory: directory, name))
        }
    }

    func makeDirectory(_ path: String, mode: UInt32) throws(FileSystemError) -> Bool {
        try with("mkdir", path) { state throws(Failure) in
            if state.disk.node(path) != nil { return false }
            _ = try Self.add(path, isDirectory: true, &state)
            return true
        }
    }

    func removeDirectory(_ path: String) throws(FileSystemError) {
        try with("rmdir", path) { state throws(Failure) in
            guard let node = state.disk.node(path) else { throw Failure(ENOENT) }
            if state.disk.nodes[node]?.entries.isEmpty != true { throw Failure(ENOTEMPTY) }
            let (directory, name) = try Self.parent(path, state)
            state.change(.unname(directory: directory, name))
        }
    }

    func list(_ path: String) throws(FileSystemError) -> [String] {
        try with("opendir", path) { state throws(Failure) in
            guard let node = state.disk.node(path), let found = state.disk.nodes[node] else {
                throw Failure(ENOENT)
            }
            return Array(found.entries.keys)
        }
    }

    func status(_ path: String) throws(FileSystemError) -> FileStatus? {
        state.withLock { state in state.disk.node(path).map { state.status($0) } }
    }

    func status(_ descriptor: Int32) throws(FileSystemError) -> FileStatus {
        try with("fstat") { state throws(Failure) in
            guard let node = state.descriptors[descriptor]?.node else { throw Failure(EBADF) }
            return state.status(node)
        }
    }

    func lock(_ descriptor: Int32, exclusive: Bool, wait: Bool) throws(FileSystemError) -> Bool { true }
}

extension SimulatedFileSystem.State {
    mutating func change(_ change: SimulatedDisk.Change) {
        disk.apply(change)
        events.append(.change(change))
    }

    mutating func describe(_ node: Int) -> Int32 {
        nextDescriptor += 1
        descriptors[nextDescriptor] = (node, 0)
        return nextDescriptor
    }

    func status(_ node: Int) -> FileStatus {
        let found = disk.nodes[node] ?? SimulatedDisk.Node(isDirectory: false)
        return FileStatus(
            kind: found.isDirectory ? .directory : .regular, size: found.bytes.count, mode: found.mode,
            device: 1, inode: UInt64(node), links: 1, modified: 1, changed: 1)
    }
}
