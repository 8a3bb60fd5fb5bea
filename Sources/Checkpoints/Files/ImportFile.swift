// SPDX-License-Identifier: Apache-2.0

/// A file to import: a name inside the checkpoint and an open descriptor.
///
/// The bytes come from the descriptor alone; the path is only what they will be called.
package struct ImportFile: Hashable, Sendable {
    /// Path relative to the checkpoint's directory, with `/` between components.
    package var path: String
    /// Open for reading; stays its opener's to close.
    package var descriptor: Int32

    /// A file called `path` whose bytes `descriptor` gives.
    package init(path: String, descriptor: Int32) {
        self.path = path
        self.descriptor = descriptor
    }
}

/// A descriptor that is being read, and what it looked like at first.
///
/// Read with `pread` and never mapped: a file that shrinks meanwhile gives a short read, not a signal.
struct SourceFile: Sendable {
    let path: String
    let size: Int
    let mode: UInt32
    private let descriptor: Int32
    private let first: FileStatus
    private let fileSystem: any FileSystem

    init(_ file: ImportFile, _ fileSystem: any FileSystem) throws {
        path = file.path
        descriptor = file.descriptor
        self.fileSystem = fileSystem
        first = try store("the file \(quoted(file.path))") { try fileSystem.status(file.descriptor) }
        guard first.kind == .regular else {
            throw CheckpointError(
                .invalidInput, "\(quoted(path)) is not a regular file",
                hint: "a checkpoint holds regular files only; replace links and devices by their content")
        }
        size = first.size
        // Set-user-id, set-group-id and execute bits have no place on a model's files.
        mode = first.mode & 0o666
    }

    /// Fills `buffer` from `offset`.
    func read(_ buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
        let count = try store("the file \(quoted(path))") {
            try fileSystem.read(descriptor, into: buffer, at: offset)
        }
        if count != buffer.count { throw changed("it became shorter") }
    }

    /// The bytes of a range.
    func read(_ range: Range<Int>) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
            try read(
                UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: range.count),
                at: range.lowerBound)
            count = range.count
        }
    }

    /// Fails if the file is not what it was when the import began.
    func checkUnchanged() throws {
        let now = try store("the file \(quoted(path))") { try fileSystem.status(descriptor) }
        if now.size != first.size { throw changed("its size went from \(first.size) to \(now.size)") }
        if now.modified != first.modified { throw changed("it was written to") }
        if now.inode != first.inode || now.device != first.device { throw changed("it was replaced") }
    }

    private func changed(_ how: String) -> CheckpointError {
        CheckpointError(
            .sourceChanged, "\(quoted(path)) changed during the import: \(how)",
            hint: "import again when nothing writes to it")
    }
}
