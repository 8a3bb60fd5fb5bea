// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Synchronization

/// The real files, except that the n-th changing operation fails.
final class FailingFileSystem: FileSystem {
    private let real = PosixFileSystem()
    private let countdown: Mutex<Int>
    private let number: Int32

    /// Fails operation `failAt` (from 1) with the error `number`; 0 never fails.
    init(failAt: Int, _ number: Int32) {
        countdown = Mutex(failAt)
        self.number = number
    }

    /// Whether the failure has happened.
    var failed: Bool { countdown.withLock { $0 < 0 } }

    private func step(_ operation: String) throws(FileSystemError) {
        let fails = countdown.withLock { left in
            if left < 0 { return false }
            left -= 1
            if left == 0 { left = -1 } else if left < 0 { left = .max }
            return left == -1
        }
        if fails { throw FileSystemError(operation, "", number) }
    }

    func open(_ path: String, _ mode: FileOpenMode) throws(FileSystemError) -> Int32 {
        if mode == .create { try step("open") }
        return try real.open(path, mode)
    }
    func close(_ descriptor: Int32) throws(FileSystemError) { try real.close(descriptor) }
    func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) throws(FileSystemError) {
        // Half of it arrives, as on a real full disk.
        do {
            try step("write")
        } catch {
            try real.write(descriptor, UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count / 2)]))
            throw error
        }
        try real.write(descriptor, bytes)
    }
    func read(
        _ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(FileSystemError) -> Int { try real.read(descriptor, into: buffer, at: offset) }
    func synchronize(_ descriptor: Int32) throws(FileSystemError) {
        try step("fsync")
        try real.synchronize(descriptor)
    }
    func synchronizeData(_ descriptor: Int32) throws(FileSystemError) {
        try step("fdatasync")
        try real.synchronizeData(descriptor)
    }
    func synchronizeDirectory(_ path: String) throws(FileSystemError) {
        try step("fsync")
        try real.synchronizeDirectory(path)
    }
    func synchronizeFileSystem(of path: String) throws(FileSystemError) {
        try step("syncfs")
        try real.synchronizeFileSystem(of: path)
    }
    func setMode(_ descriptor: Int32, _ mode: UInt32) throws(FileSystemError) {
        try step("chmod")
        try real.setMode(descriptor, mode)
    }
    func touch(_ path: String) throws(FileSystemError) {
        try step("utimensat")
        try real.touch(path)
    }
    func rename(_ from: String, to: String) throws(FileSystemError) {
        try step("rename")
        try real.rename(from, to: to)
    }
    func link(_ from: String, to: String) throws(FileSystemError) {
        try step("link")
        try real.link(from, to: to)
    }
    func unlink(_ path: String) throws(FileSystemError) { try real.unlink(path) }
    func makeDirectory(_ path: String, mode: UInt32) throws(FileSystemError) -> Bool {
        try step("mkdir")
        return try real.makeDirectory(path, mode: mode)
    }
    func removeDirectory(_ path: String) throws(FileSystemError) { try real.removeDirectory(path) }
    func list(_ path: String) throws(FileSystemError) -> [String] { try real.list(path) }
    func status(_ path: String) throws(FileSystemError) -> FileStatus? { try real.status(path) }
    func status(_ descriptor: Int32) throws(FileSystemError) -> FileStatus { try real.status(descriptor) }
    func lock(_ descriptor: Int32, exclusive: Bool, wait: Bool) throws(FileSystemError) -> Bool {
        try real.lock(descriptor, exclusive: exclusive, wait: wait)
    }
}
