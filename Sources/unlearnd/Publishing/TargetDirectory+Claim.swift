// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol

/// Whose directory it is, and that nothing of others lies in it.
extension TargetDirectory {
    /// Checks the marker, or makes one in an empty directory.
    static func claim(_ root: Int32, _ path: String, _ target: String, _ store: String)
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

    static func isBare(_ root: Int32) -> Bool {
        (try? check(root, "", allowing: [marker, folder, "lost+found"])) != nil
    }

    /// Refuses what is not expected in a directory.
    static func check(_ directory: Int32, _ path: String, allowing names: Set<String>)
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

    /// The refusal of what somebody else put there.
    static func foreign(_ thing: String) -> JobFailure {
        JobFailure(
            .target, "\(thing) was not made by unlearnd: nothing is published there",
            hint: "a publish target is an empty directory that only unlearnd writes to")
    }
}
