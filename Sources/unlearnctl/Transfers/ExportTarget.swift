// SPDX-License-Identifier: Apache-2.0

import CLinux
import Client
import Glibc
import Protocol
import struct Crypto.SHA256

/// A directory that is filled beside its place and takes it only when every byte was checked.
final class ExportTarget {
    private let destination: String
    private let staging: String
    private let exists: Bool
    private var isPublished = false

    /// Prepares a new directory beside `path`, or `path` itself.
    /// - Parameters:
    ///   - inPlace: Whether the files are made where they belong, for an export that nobody waits for.
    ///   - state: The daemon's state directory, which is no place for them.
    /// - Throws: ``ClientError`` with status 65 if something is there that is not an empty directory.
    init(_ path: String, inPlace: Bool = false, outside state: String) throws(ClientError) {
        var trimmed = path
        while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
        destination = trimmed
        var status = stat()
        if lstat(trimmed, &status) == 0 {
            guard status.st_mode & S_IFMT == S_IFDIR, Self.isEmpty(trimmed) else {
                throw ClientError(
                    .badInput, "\(trimmed) exists and is not an empty directory",
                    hint: "name a directory that does not exist yet")
            }
            exists = true
        } else {
            guard errno == ENOENT else {
                throw ClientError(.badInput, "cannot use \(trimmed): \(SystemFailure())")
            }
            exists = false
        }
        let parent = Self.parent(of: trimmed)
        if let place = Self.resolve(parent), let state = Self.resolve(state),
            (place + "/").hasPrefix(state + "/")
        {
            throw ClientError(
                .badInput, "\(trimmed) lies in the daemon's state directory",
                hint: "name a directory outside of \(state)")
        }
        if inPlace {
            staging = destination
            guard exists || mkdir(destination, 0o777) == 0 else {
                isPublished = true
                throw Self.unwritable(parent)
            }
            return
        }
        var template = Array("\(parent)/.unlearnctl-export-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw Self.unwritable(parent)
        }
        staging = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { if !isPublished { Self.remove(staging) } }

    private static func unwritable(_ parent: String) -> ClientError {
        ClientError(
            .badInput, "cannot write in \(parent): \(SystemFailure())",
            hint: "name a directory in a place that you can write to")
    }

    /// Leaves the files to the daemon that writes them.
    func release() { isPublished = true }

    /// Makes the empty file `name`, and the directories above it.
    func create(_ name: String) throws(ClientError) -> Descriptor {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard !parts.isEmpty,
            parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." && !$0.contains("\0") })
        else {
            throw ClientError(
                .protocolMismatch, "the daemon named a file “\(name)”, which is no path inside a directory")
        }
        var directory = staging
        for part in parts.dropLast() {
            directory += "/\(part)"
            guard mkdir(directory, 0o777) == 0 || errno == EEXIST else {
                throw storage("make \(directory)", SystemFailure())
            }
        }
        do {
            return try Descriptor(
                opening: "\(staging)/\(name)", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW,
                mode: staging == destination ? 0o666 : 0o600)
        } catch {
            throw storage("make \(name)", error)
        }
    }

    /// Reads a file back, holds it against what it must be, and makes it durable.
    func verify(_ file: FileSummary) throws(ClientError) {
        do {
            let descriptor = try Descriptor(opening: "\(staging)/\(file.path)", O_RDONLY | O_NOFOLLOW)
            var hash = SHA256()
            try descriptor.readAll { hash.update(bufferPointer: $0) }
            guard Digest(bytes: Array(hash.finalize())) == file.sha256 else {
                throw ClientError(
                    .storage, "\(file.path) does not have the bytes that the store holds",
                    hint: "see: unlearnctl store verify")
            }
            var mask: mode_t = umask(0)
            umask(mask)
            mask = mode_t(file.mode & 0o666) & ~mask
            try retrying { fchmod(descriptor.number, mask | 0o600) }
            try retrying { fsync(descriptor.number) }
        } catch let error as ClientError {
            throw error
        } catch {
            throw ClientError(.storage, "cannot check \(file.path): \(error)")
        }
    }

    /// Puts the directory in its place.
    func publish() throws(ClientError) {
        var mask = umask(0)
        umask(mask)
        mask = 0o777 & ~mask
        do throws(SystemFailure) {
            try retrying { chmod(staging, mask) }
            try Self.synchroniseDirectories(staging)
            if exists {
                try retrying { rename(staging, destination) }
            } else {
                let result = cl_rename_noreplace(AT_FDCWD, staging, AT_FDCWD, destination)
                if result < 0 { throw SystemFailure(number: -result) }
            }
            isPublished = true
            let parent = try Descriptor(opening: Self.parent(of: destination), O_RDONLY | O_DIRECTORY)
            try retrying { fsync(parent.number) }
        } catch {
            throw storage("put the files at \(destination)", error)
        }
    }

    private func storage(_ what: String, _ failure: SystemFailure) -> ClientError {
        ClientError(
            .storage, "cannot \(what): \(failure)",
            hint: "see that there is space and that you can write there")
    }

    private static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func resolve(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    private static func entries(_ directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    private static func isEmpty(_ directory: String) -> Bool {
        access(directory, R_OK | X_OK) == 0 && entries(directory).isEmpty
    }

    private static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    private static func synchroniseDirectories(_ directory: String) throws(SystemFailure) {
        for name in entries(directory) where isDirectory("\(directory)/\(name)") {
            try synchroniseDirectories("\(directory)/\(name)")
        }
        let descriptor = try Descriptor(opening: directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        try retrying { fsync(descriptor.number) }
    }

    private static func remove(_ path: String) {
        guard isDirectory(path) else {
            unlink(path)
            return
        }
        for name in entries(path) { remove("\(path)/\(name)") }
        rmdir(path)
    }
}
