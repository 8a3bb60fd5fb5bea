// SPDX-License-Identifier: Apache-2.0

/// The file operations that the store is made of, and no others.
///
/// Everything that the store does to a disk goes through here, so that a test can fail any single operation.
/// Descriptors are plain numbers; whoever opens one closes it.
package protocol FileSystem: Sendable {
    /// Opens `path`; a symbolic link as the last component is refused.
    func open(_ path: String, _ mode: FileOpenMode) throws(FileSystemError) -> Int32
    /// Closes a descriptor.
    func close(_ descriptor: Int32) throws(FileSystemError)
    /// Writes all of `bytes` at the descriptor's position.
    func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) throws(FileSystemError)
    /// Reads until `buffer` is full or the file ends. Returns the count of bytes read.
    func read(
        _ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(FileSystemError) -> Int
    /// Makes a file's bytes and metadata durable. Never to be retried after a failure: the kernel may
    /// have dropped the dirty pages.
    func synchronize(_ descriptor: Int32) throws(FileSystemError)
    /// Makes a file's bytes (and its size) durable.
    func synchronizeData(_ descriptor: Int32) throws(FileSystemError)
    /// Makes a directory's entries durable.
    func synchronizeDirectory(_ path: String) throws(FileSystemError)
    /// Makes every change that was made so far to the file system that `path`, a directory, lies on durable, whoever
    /// made it.
    func synchronizeFileSystem(of path: String) throws(FileSystemError)
    /// Sets the permission bits.
    func setMode(_ descriptor: Int32, _ mode: UInt32) throws(FileSystemError)
    /// Sets the time of modification to now.
    func touch(_ path: String) throws(FileSystemError)
    /// Renames, replacing what is there.
    func rename(_ from: String, to: String) throws(FileSystemError)
    /// Makes a second name; fails when it exists.
    func link(_ from: String, to: String) throws(FileSystemError)
    /// Removes a file's name.
    func unlink(_ path: String) throws(FileSystemError)
    /// Makes a directory. Returns false when something of that name is there already.
    func makeDirectory(_ path: String, mode: UInt32) throws(FileSystemError) -> Bool
    /// Removes an empty directory.
    func removeDirectory(_ path: String) throws(FileSystemError)
    /// The names in a directory, without `.` and `..`, in no order.
    func list(_ path: String) throws(FileSystemError) -> [String]
    /// What is at `path` (links are not followed); `nil` when nothing is.
    func status(_ path: String) throws(FileSystemError) -> FileStatus?
    /// What a descriptor refers to.
    func status(_ descriptor: Int32) throws(FileSystemError) -> FileStatus
    /// Takes an advisory lock. Returns false when `wait` is false and someone else holds it.
    func lock(_ descriptor: Int32, exclusive: Bool, wait: Bool) throws(FileSystemError) -> Bool
}

/// How a file is opened.
package enum FileOpenMode: Hashable, Sendable {
    /// An existing file, for reading.
    case read
    /// A new file for writing, mode 0600; fails when the name exists.
    case create
    /// An existing file, to be overwritten from its beginning.
    case update
    /// A lock file, made when missing.
    case lock
    /// A directory.
    case directory
}

/// What `stat` says of a file.
package struct FileStatus: Hashable, Sendable {
    /// What sort of thing it is.
    package enum Kind: Hashable, Sendable { case regular, directory, symbolicLink, other }

    package var kind: Kind
    /// Bytes.
    package var size: Int
    /// Permission bits.
    package var mode: UInt32
    package var device: UInt64
    package var inode: UInt64
    /// Number of names; 0 for a file that was removed while open.
    package var links: UInt64
    /// Last change of the bytes, nanoseconds since 1970.
    package var modified: Int64
    /// Last change of bytes or metadata, nanoseconds since 1970. Unlike `modified`, its owner cannot set it.
    package var changed: Int64

    /// Memberwise.
    package init(
        kind: Kind, size: Int, mode: UInt32, device: UInt64, inode: UInt64, links: UInt64, modified: Int64,
        changed: Int64
    ) {
        self.kind = kind
        self.size = size
        self.mode = mode
        self.device = device
        self.inode = inode
        self.links = links
        self.modified = modified
        self.changed = changed
    }
}

/// A failed operation: which, on what, and the system's error number.
package struct FileSystemError: Error, Hashable, Sendable, CustomStringConvertible {
    package var operation: String
    package var path: String
    package var number: Int32

    /// A failure of `operation` on `path` with the error number `number`.
    package init(_ operation: String, _ path: String, _ number: Int32) {
        self.operation = operation
        self.path = path
        self.number = number
    }

    package var description: String {
        "\(operation)\(path.isEmpty ? "" : " of \(path)") failed: \(PosixFileSystem.text(of: number))"
    }
}

extension FileSystem {
    /// Opens, does `body`, closes. A failed close after a good body is a failure too.
    func with<R>(_ path: String, _ mode: FileOpenMode, _ body: (Int32) throws -> R) throws -> R {
        let descriptor = try open(path, mode)
        let result: R
        do {
            result = try body(descriptor)
        } catch {
            try? close(descriptor)
            throw error
        }
        try close(descriptor)
        return result
    }
}
