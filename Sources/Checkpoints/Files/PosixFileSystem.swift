// SPDX-License-Identifier: Apache-2.0

#if !canImport(Darwin)
    import CLinux
#endif

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The operating system's files.
package struct PosixFileSystem: FileSystem {
    /// The one kind there is.
    package init() {}

    static func text(of number: Int32) -> String { String(cString: strerror(number)) }

    /// Runs a call again while it is interrupted by signals.
    private func retrying<I: FixedWidthInteger & SignedInteger>(
        _ operation: String, _ path: String = "", _ call: () -> I
    ) throws(FileSystemError) -> I {
        while true {
            let result = call()
            if result >= 0 { return result }
            let number = errno
            if number != EINTR { throw FileSystemError(operation, path, number) }
        }
    }

    package func open(_ path: String, _ mode: FileOpenMode) throws(FileSystemError) -> Int32 {
        let flags =
            switch mode {
            case .read: O_RDONLY | O_NONBLOCK
            case .create: O_WRONLY | O_CREAT | O_EXCL
            case .update: O_WRONLY
            case .lock: O_RDWR | O_CREAT
            case .directory: O_RDONLY | O_DIRECTORY
            }
        // Without O_NONBLOCK a FIFO in the store's place would hang the open; it has no effect on files.
        #if canImport(Darwin)
            return try retrying("open", path) { Darwin.open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0o600) }
        #elseif canImport(Musl)
            return try retrying("open", path) { Musl.open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0o600) }
        #else
            return try retrying("open", path) { Glibc.open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0o600) }
        #endif
    }

    package func close(_ descriptor: Int32) throws(FileSystemError) {
        // An interrupted close has closed the descriptor: never retried.
        #if canImport(Darwin)
            let result = Darwin.close(descriptor)
        #elseif canImport(Musl)
            let result = Musl.close(descriptor)
        #else
            let result = Glibc.close(descriptor)
        #endif
        if result != 0, errno != EINTR { throw FileSystemError("close", "", errno) }
    }

    package func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) throws(FileSystemError) {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let count: Int = try retrying("write") {
                #if canImport(Darwin)
                    Darwin.write(descriptor, rest.baseAddress, rest.count)
                #elseif canImport(Musl)
                    Musl.write(descriptor, rest.baseAddress, rest.count)
                #else
                    Glibc.write(descriptor, rest.baseAddress, rest.count)
                #endif
            }
            if count == 0 { throw FileSystemError("write", "", EIO) }
            done += count
        }
    }

    package func read(
        _ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(FileSystemError) -> Int {
        var done = 0
        while done < buffer.count {
            let count: Int = try retrying("read") {
                pread(
                    descriptor, buffer.baseAddress?.advanced(by: done), buffer.count - done,
                    off_t(offset + done))
            }
            if count == 0 { break }
            done += count
        }
        return done
    }

    package func synchronize(_ descriptor: Int32) throws(FileSystemError) {
        if fsync(descriptor) != 0 { throw FileSystemError("fsync", "", errno) }
    }

    package func synchronizeData(_ descriptor: Int32) throws(FileSystemError) {
        #if canImport(Darwin)
            let result = fcntl(descriptor, F_FULLFSYNC)
        #else
            let result = fdatasync(descriptor)
        #endif
        if result != 0 { throw FileSystemError("fdatasync", "", errno) }
    }

    package func synchronizeDirectory(_ path: String) throws(FileSystemError) {
        let descriptor = try open(path, .directory)
        defer { try? close(descriptor) }
        if fsync(descriptor) != 0 { throw FileSystemError("fsync", path, errno) }
    }

    package func synchronizeFileSystem(of path: String) throws(FileSystemError) {
        let descriptor = try open(path, .directory)
        defer { try? close(descriptor) }
        #if canImport(Darwin)
            // There is no call for one file system; the last flushes what the first has only begun to write.
            sync()
            if fcntl(descriptor, F_FULLFSYNC) != 0 { throw FileSystemError("fsync", path, errno) }
        #else
            let result = cl_synchronize_file_system(descriptor)
            if result < 0 { throw FileSystemError("syncfs", path, -result) }
        #endif
    }

    package func setMode(_ descriptor: Int32, _ mode: UInt32) throws(FileSystemError) {
        _ = try retrying("chmod") { fchmod(descriptor, mode_t(mode)) }
    }

    package func touch(_ path: String) throws(FileSystemError) {
        _ = try retrying("utimensat", path) { utimensat(AT_FDCWD, path, nil, AT_SYMLINK_NOFOLLOW) }
    }

    package func rename(_ from: String, to: String) throws(FileSystemError) {
        #if canImport(Darwin)
            _ = try retrying("rename", to) { Darwin.rename(from, to) }
        #elseif canImport(Musl)
            _ = try retrying("rename", to) { Musl.rename(from, to) }
        #else
            _ = try retrying("rename", to) { Glibc.rename(from, to) }
        #endif
    }

    package func link(_ from: String, to: String) throws(FileSystemError) {
        _ = try retrying("link", to) { linkat(AT_FDCWD, from, AT_FDCWD, to, 0) }
    }

    package func unlink(_ path: String) throws(FileSystemError) {
        _ = try retrying("unlink", path) { unlinkat(AT_FDCWD, path, 0) }
    }

    package func makeDirectory(_ path: String, mode: UInt32) throws(FileSystemError) -> Bool {
        if mkdir(path, mode_t(mode)) == 0 { return true }
        if errno == EEXIST { return false }
        throw FileSystemError("mkdir", path, errno)
    }

    package func removeDirectory(_ path: String) throws(FileSystemError) {
        _ = try retrying("rmdir", path) { rmdir(path) }
    }

    package func list(_ path: String) throws(FileSystemError) -> [String] {
        guard let stream = opendir(path) else { throw FileSystemError("opendir", path, errno) }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw FileSystemError("readdir", path, errno) }
                return names
            }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
    }

    package func status(_ path: String) throws(FileSystemError) -> FileStatus? {
        var raw = stat()
        if fstatat(AT_FDCWD, path, &raw, AT_SYMLINK_NOFOLLOW) == 0 { return FileStatus(raw) }
        if errno == ENOENT || errno == ENOTDIR { return nil }
        throw FileSystemError("stat", path, errno)
    }

    package func status(_ descriptor: Int32) throws(FileSystemError) -> FileStatus {
        var raw = stat()
        if fstat(descriptor, &raw) != 0 { throw FileSystemError("fstat", "", errno) }
        return FileStatus(raw)
    }

    package func lock(_ descriptor: Int32, exclusive: Bool, wait: Bool) throws(FileSystemError) -> Bool {
        let operation = (exclusive ? LOCK_EX : LOCK_SH) | (wait ? 0 : LOCK_NB)
        while flock(descriptor, operation) != 0 {
            let number = errno
            if number == EWOULDBLOCK { return false }
            if number != EINTR { throw FileSystemError("flock", "", number) }
        }
        return true
    }
}

extension FileSystemError {
    /// Whether the disk or a quota is full, or a file-size limit reached.
    package var isSpace: Bool { number == ENOSPC || number == EDQUOT || number == EFBIG }
    /// Whether something of that name is there already.
    var isPresent: Bool { number == EEXIST }
    /// Whether the thing is not there.
    package var isMissing: Bool { number == ENOENT || number == ENOTDIR }
    /// Whether what is there is no file that could be opened: a symbolic link, a socket.
    var isNoFile: Bool { operation == "open" && (number == ELOOP || number == ENXIO) }
    /// Whether the descriptor's kind of file cannot be made durable (a pipe, say).
    var isNotSynchronizable: Bool { number == EINVAL || number == EROFS || number == ENOTSUP }
}

extension FileStatus {
    fileprivate init(_ raw: stat) {
        let kind: Kind =
            switch raw.st_mode & S_IFMT {
            case S_IFREG: .regular
            case S_IFDIR: .directory
            case S_IFLNK: .symbolicLink
            default: .other
            }
        #if canImport(Darwin)
            let (modified, changed) = (raw.st_mtimespec, raw.st_ctimespec)
        #else
            let (modified, changed) = (raw.st_mtim, raw.st_ctim)
        #endif
        self.init(
            kind: kind, size: Int(raw.st_size), mode: UInt32(raw.st_mode & 0o7777),
            device: UInt64(raw.st_dev),
            inode: UInt64(raw.st_ino), links: UInt64(raw.st_nlink),
            modified: Int64(modified.tv_sec) * 1_000_000_000 + Int64(modified.tv_nsec),
            changed: Int64(changed.tv_sec) * 1_000_000_000 + Int64(changed.tv_nsec))
    }
}
