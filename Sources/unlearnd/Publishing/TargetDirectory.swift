// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import Protocol

/// A publish target's directory:
///
/// ```
/// .unlearnd-target            whose it is
/// current -> versions/v3-…    what engines read
/// versions/v3-<12 digits>/    a whole checkpoint, every file durable
/// versions/.part-v4-…/        one that is being written
/// ```
///
/// Everything is reached through open directories and without following links, so what is put in the way is refused and
/// never written through. Only what the daemon wrote down before making it is ever removed.
final class TargetDirectory: Sendable {
    /// A file of a copy.
    struct File: Codable, Hashable, Sendable {
        var path: String
        var size: Int64
    }

    static let marker = ".unlearnd-target"
    static let link = "current"
    static let newLink = ".current.new"
    static let folder = "versions"

    let path: String
    private let root: Int32
    private let versions: Int32

    /// Opens a target's directory, or takes an empty one.
    ///
    /// - Parameters:
    ///   - store: The store's name, which the directory's marker bears.
    ///   - known: The names of all copies that the database has of this target.
    /// - Throws: ``JobFailure`` of kind `target` for anything that is not ours.
    init(_ target: PublishTarget, store: String, known: Set<String>) throws(JobFailure) {
        path = target.directory
        guard let resolved = realpath(path, nil) else { throw Self.failure(path, errno) }
        let real = String(cString: resolved)
        free(resolved)
        if let fault = PathOwnership.fault(of: real) {
            throw JobFailure(
                .target, "the publish target \(target.name) is not safe: \(fault)",
                hint: "let root or the daemon's user own it, and nobody else write there")
        }
        root = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard root >= 0 else {
            versions = -1
            throw Self.failure(path, errno)
        }
        var folder: Int32 = -1
        do throws(JobFailure) {
            try Self.claim(root, path, target.name, store)
            try Self.check(
                root, path, allowing: [Self.marker, Self.link, Self.newLink, Self.folder, "lost+found"])
            folder = openat(root, Self.folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            guard folder >= 0 else { throw Self.failure(path + "/" + Self.folder, errno) }
            var status = stat()
            guard fstat(folder, &status) == 0, status.st_uid == geteuid(), status.st_mode & 0o022 == 0 else {
                throw Self.foreign("\(path)/\(Self.folder)")
            }
            try Self.check(folder, path + "/" + Self.folder, allowing: known.union(known.map(Self.part)))
        } catch {
            close(root)
            if folder >= 0 { close(folder) }
            versions = -1
            throw error
        }
        versions = folder
    }

    deinit {
        if versions >= 0 {
            close(versions)
            close(root)
        }
    }

    /// The copy that the link names; `nil` when there is no link.
    /// - Throws: When something else stands there.
    func shown() throws(JobFailure) -> String? {
        var status = stat()
        guard fstatat(root, Self.link, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
            guard errno == ENOENT else { throw Self.failure("\(path)/\(Self.link)", errno) }
            return nil
        }
        var buffer = [UInt8](repeating: 0, count: 512)
        let count =
            status.st_mode & S_IFMT == S_IFLNK ? readlinkat(root, Self.link, &buffer, buffer.count) : -1
        let text = count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : ""
        guard text.hasPrefix(Self.folder + "/"), Self.isCopy(String(text.dropFirst(Self.folder.count + 1)))
        else { throw Self.foreign("\(path)/\(Self.link)") }
        return String(text.dropFirst(Self.folder.count + 1))
    }

    /// Whether a copy is there with every file in its size, and nothing else.
    func isWhole(_ name: String, _ files: [File]) -> Bool {
        let copy = openat(versions, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard copy >= 0 else { return false }
        defer { close(copy) }
        return files.allSatisfy { file in
            (try? Self.within(copy, file.path, "") { folder, leaf throws(JobFailure) in
                var status = stat()
                return fstatat(folder, leaf, &status, AT_SYMLINK_NOFOLLOW) == 0
                    && status.st_mode & S_IFMT == S_IFREG && Int64(status.st_size) == file.size
            }) ?? false
        }
    }

    /// Whether a copy has its name, which it gets when it is whole.
    func isSealed(_ name: String) -> Bool {
        var status = stat()
        return fstatat(versions, name, &status, AT_SYMLINK_NOFOLLOW) == 0
    }

    /// Makes the empty files of a copy, readable by everybody and open for writing.
    func begin(_ name: String, _ files: [File]) throws(JobFailure) -> DescriptorSet {
        var space = statvfs()
        let needed = files.reduce(0) { $0 + $1.size }
        if fstatvfs(versions, &space) == 0, Int64(space.f_bavail) * Int64(space.f_frsize) < needed {
            throw JobFailure(
                .storage, "the copy takes \(needed >> 20) MiB, more than is free in \(path)",
                hint: "free space there, then retry the job")
        }
        let part = Self.part(name)
        let copy = try Self.makeDirectory(versions, part, "\(path)/\(Self.folder)/\(part)")
        defer { close(copy) }
        var descriptors: [Int32] = []
        do throws(JobFailure) {
            for file in files {
                let thing = "\(path)/\(Self.folder)/\(part)/\(file.path)"
                let descriptor = try Self.within(copy, file.path, thing, making: true) {
                    folder, leaf throws(JobFailure) in
                    openat(folder, leaf, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
                }
                // The mode holds for whoever opens it later; what is open stays writable.
                guard descriptor >= 0 else { throw Self.failure(thing, errno) }
                descriptors.append(descriptor)
                guard fchmod(descriptor, 0o444) == 0 else { throw Self.failure(thing, errno) }
            }
        } catch {
            for descriptor in descriptors { close(descriptor) }
            throw error
        }
        return DescriptorSet(files: files.map(\.path), descriptors: descriptors)
    }

    /// Gives a copy whose files are written and durable its name, durably.
    func seal(_ name: String, _ files: [File]) throws(JobFailure) {
        let (part, thing) = (Self.part(name), "\(path)/\(Self.folder)/\(name)")
        let copy = openat(versions, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard copy >= 0 else { throw Self.failure(thing, errno) }
        defer { close(copy) }
        for folder in Self.folders(files).reversed() {
            try Self.within(copy, folder, thing) { parent, leaf throws(JobFailure) in
                let descriptor = openat(parent, leaf, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                guard descriptor >= 0 else { throw Self.failure(thing, errno) }
                defer { close(descriptor) }
                try Self.synchronize(descriptor, thing)
            }
        }
        try Self.synchronize(copy, thing)
        let result = cl_rename_noreplace(versions, part, versions, name)
        guard result == 0 else { throw Self.failure(thing, -result) }
        try Self.synchronize(versions, thing)
    }

    /// Makes the link name a copy, in one step.
    func show(_ name: String) throws(JobFailure) {
        let thing = "\(path)/\(Self.link)"
        if try shown() == name { return try Self.synchronize(root, thing) }
        // Left by a daemon that died here.
        var status = stat()
        if fstatat(root, Self.newLink, &status, AT_SYMLINK_NOFOLLOW) == 0 {
            guard status.st_mode & S_IFMT == S_IFLNK else { throw Self.foreign("\(path)/\(Self.newLink)") }
            guard unlinkat(root, Self.newLink, 0) == 0 else { throw Self.failure(thing, errno) }
        }
        guard symlinkat("\(Self.folder)/\(name)", root, Self.newLink) == 0 else {
            throw Self.failure(thing, errno)
        }
        FailPoint.beforeSwitch.reach()
        guard renameat(root, Self.newLink, root, Self.link) == 0 else { throw Self.failure(thing, errno) }
        try Self.synchronize(root, thing)
    }

    /// Takes the link away: nothing is shown any more.
    func hide() throws(JobFailure) {
        guard try shown() != nil else { return }
        guard unlinkat(root, Self.link, 0) == 0 else { throw Self.failure("\(path)/\(Self.link)", errno) }
        try Self.synchronize(root, "\(path)/\(Self.link)")
    }

    /// Removes the files of a copy, whole or not, and its directories.
    ///
    /// - Throws: When something is left, such as a file that somebody else put there.
    func remove(_ name: String, _ files: [File]) throws(JobFailure) {
        for entry in [name, Self.part(name)] {
            let copy = openat(versions, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            guard copy >= 0 else {
                guard errno == ENOENT else { throw Self.foreign("\(path)/\(Self.folder)/\(entry)") }
                continue
            }
            defer { close(copy) }
            let thing = "\(path)/\(Self.folder)/\(entry)"
            for (path, flag) in files.map({ ($0.path, Int32(0)) })
                + Self.folders(files).reversed().map({ ($0, AT_REMOVEDIR) })
            {
                _ = try? Self.within(copy, path, thing) { folder, leaf throws(JobFailure) in
                    unlinkat(folder, leaf, flag)
                }
            }
            guard unlinkat(versions, entry, AT_REMOVEDIR) == 0 else {
                let why =
                    errno == ENOTEMPTY
                    ? "it holds what unlearnd did not put there" : String(cString: strerror(errno))
                throw JobFailure(
                    .target, "\(thing) cannot be removed: \(why)", hint: "look there and remove it by hand")
            }
        }
        try Self.synchronize(versions, "\(path)/\(Self.folder)")
    }

    /// Gives the directory back as it was taken: empty. Does nothing where copies are left.
    func release() {
        guard unlinkat(root, Self.folder, AT_REMOVEDIR) == 0 else { return }
        _ = unlinkat(root, Self.marker, 0)
        _ = fsync(root)
    }

    /// What a copy is called while it is written.
    static func part(_ name: String) -> String { ".part-" + name }

    /// What the copy of a version is called.
    static func name(_ version: VersionNumber, _ digest: Digest) -> String {
        "\(version)-\(digest.hex.prefix(12))"
    }

    private static func isCopy(_ name: String) -> Bool {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        return parts.count == 2 && VersionNumber(String(parts[0])) != nil && parts[1].utf8.count == 12
            && parts[1].utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }
}
