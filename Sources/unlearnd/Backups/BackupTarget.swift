// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol

/// The rules of a directory that backups go to.
enum BackupTarget {
    /// Holds a directory against the rules: there, a directory and no link, owned by root or this user, closed to
    /// others' writing, and apart from the state directory.
    /// - Throws: ``JobFailure``.
    static func check(_ path: String, stateDirectory: String) throws(JobFailure) {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            throw JobFailure(
                errno == ENOENT ? .missing : .storage,
                "the backup directory \(path) cannot be used: \(String(cString: strerror(errno)))",
                hint: "make it, or mount its disk")
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw JobFailure(
                .storage, "\(path) is not a directory", hint: "name a directory, not a link to one")
        }
        guard status.st_uid == 0 || status.st_uid == geteuid() else {
            throw JobFailure(
                .storage,
                "the backup directory \(path) belongs to user \(status.st_uid), not to user \(geteuid())",
                hint: "give it to the daemon's user")
        }
        guard status.st_mode & 0o022 == 0 else {
            throw JobFailure(
                .storage, "others can write to the backup directory \(path)", hint: "chmod go-w \(path)")
        }
        guard let real = realpath(path, nil) else { return }
        defer { free(real) }
        let (target, state) = (String(cString: real) + "/", stateDirectory + "/")
        guard !target.hasPrefix(state), !state.hasPrefix(target) else {
            throw JobFailure(
                .storage, "the backup directory \(path) and the state directory lie in each other",
                hint: "name a directory on another disk")
        }
    }

    /// Free bytes of its file system.
    static func freeBytes(_ path: String) -> Int64? {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return nil }
        return Int64(status.f_bavail) * Int64(status.f_frsize)
    }
}
