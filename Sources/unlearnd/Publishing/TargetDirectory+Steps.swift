// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol

/// Steps within open directories, none of which follows a link.
extension TargetDirectory {
    /// The directories of a copy, each before those within it.
    static func folders(_ files: [File]) -> [String] {
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
    static func within<T>(
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
    static func makeDirectory(_ parent: Int32, _ name: String, _ thing: String) throws(JobFailure)
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

    /// Makes durable what was written through the descriptor.
    static func synchronize(_ descriptor: Int32, _ thing: String) throws(JobFailure) {
        guard fsync(descriptor) == 0 else { throw failure(thing, errno) }
    }

    /// What the number of a failed call means for the thing.
    static func failure(_ thing: String, _ number: Int32) -> JobFailure {
        JobFailure(
            [ENOSPC, EDQUOT, EIO].contains(number) ? .storage : .target,
            "\(thing): \(String(cString: strerror(number)))",
            hint:
                "see that the publish target is there and that the daemon can write to it, then retry the job"
        )
    }
}
