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
    private static let link = "current"
    private static let newLink = ".current.new"
    private static let folder = "versions"

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

    // MARK: Steps

    /// Checks the marker, or makes one in an empty directory.
    private static func claim(_ root: Int32, _ path: String, _ target: String, _ store: String)
        throws(JobFailure)
    {
        let text = "unlearnd publish target \(target) of store \(store)\n"
        let thing = "\(path)/\(marker)"
        var found = openat(root, marker, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        if found < 0 {
            guard errno == ENOENT else { throw foreign(thing) }
            try check(root, path, allowing: ["lost+found"])
            found = openat(root, marker, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644)
            guard found >= 0 else { throw failure(thing, errno) }
            defer { close(found) }
            guard text.withCString({ write(found, $0, text.utf8.count) }) == text.utf8.count,
                fchmod(found, 0o444) == 0
            else {
                _ = unlinkat(root, marker, 0)
                throw failure(thing, errno)
            }
            try synchronize(found, thing)
            close(try makeDirectory(root, folder, "\(path)/\(folder)"))
            return try synchronize(root, path)
        }
        defer { close(found) }
        var status = stat()
        var bytes = [UInt8](repeating: 0, count: 4096)
        guard fstat(found, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid()
        else {
            throw foreign(thing)
        }
        let count = read(found, &bytes, bytes.count)
        let written = count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : ""
        // A daemon that died while it took an empty directory left the beginning of this.
        guard written == text || text.hasPrefix(written) && isBare(root) else {
            throw JobFailure(
                .target, "\(path) is another store's, or another target's: \(thing) says so",
                hint: "give every target of every daemon a directory of its own")
        }
        if written != text {
            guard unlinkat(root, marker, 0) == 0 else { throw failure(thing, errno) }
            return try claim(root, path, target, store)
        }
        guard mkdirat(root, folder, 0o700) == 0 else {
            guard errno == EEXIST else { throw failure("\(path)/\(folder)", errno) }
            return
        }
        guard fchmodat(root, folder, 0o755, 0) == 0 else { throw failure("\(path)/\(folder)", errno) }
    }

    private static func isBare(_ root: Int32) -> Bool {
        (try? check(root, "", allowing: [marker, folder, "lost+found"])) != nil
    }

    /// Refuses what is not expected in a directory.
    private static func check(_ directory: Int32, _ path: String, allowing names: Set<String>)
        throws(JobFailure)
    {
        // A descriptor of its own: reading a directory moves its position.
        let copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0, let stream = fdopendir(copy) else {
            if copy >= 0 { close(copy) }
            throw failure(path, errno)
        }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != "..", !names.contains(name) { throw foreign("\(path)/\(name)") }
        }
    }

    /// The directories of a copy, each before those within it.
    private static func folders(_ files: [File]) -> [String] {
        var folders: Set<String> = []
        for file in files {
            var parts = file.path.split(separator: "/").dropLast()
            while !parts.isEmpty {
                folders.insert(parts.joined(separator: "/"))
                parts = parts.dropLast()
            }
        }
        return folders.sorted { ($0.split(separator: "/").count, $0) < ($1.split(separator: "/").count, $1) }
    }

    /// Calls `body` with the open directory that holds the last component of a relative path.
    private static func within<T>(
        _ directory: Int32, _ path: String, _ thing: String, making: Bool = false,
        _ body: (Int32, String) throws(JobFailure) -> T
    ) throws(JobFailure) -> T {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard let leaf = parts.last, parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }) else {
            throw JobFailure(.target, "\(path.debugDescription) is no path inside a directory")
        }
        var current = directory
        defer { if current != directory { close(current) } }
        for part in parts.dropLast() {
            var next = openat(current, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            if next < 0, errno == ENOENT, making { next = try makeDirectory(current, part, thing) }
            guard next >= 0 else { throw failure(thing, errno) }
            if current != directory { close(current) }
            current = next
        }
        return try body(current, leaf)
    }

    /// Makes a directory that everybody can read and opens it.
    private static func makeDirectory(_ parent: Int32, _ name: String, _ thing: String) throws(JobFailure)
        -> Int32
    {
        guard mkdirat(parent, name, 0o700) == 0 else { throw failure(thing, errno) }
        let descriptor = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(thing, errno) }
        guard fchmod(descriptor, 0o755) == 0 else {
            close(descriptor)
            throw failure(thing, errno)
        }
        return descriptor
    }

    private static func synchronize(_ descriptor: Int32, _ thing: String) throws(JobFailure) {
        guard fsync(descriptor) == 0 else { throw failure(thing, errno) }
    }

    private static func foreign(_ thing: String) -> JobFailure {
        JobFailure(
            .target, "\(thing) was not made by unlearnd: nothing is published there",
            hint: "a publish target is an empty directory that only unlearnd writes to")
    }

    private static func failure(_ thing: String, _ number: Int32) -> JobFailure {
        JobFailure(
            [ENOSPC, EDQUOT, EIO].contains(number) ? .storage : .target,
            "\(thing): \(String(cString: strerror(number)))",
            hint:
                "see that the publish target is there and that the daemon can write to it, then retry the job"
        )
    }
}
