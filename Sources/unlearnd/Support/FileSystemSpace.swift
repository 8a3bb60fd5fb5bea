// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The room of a file system.
struct FileSystemSpace: Sendable {
    /// Bytes that the daemon may still write.
    var free: Int64
    /// Bytes in all.
    var total: Int64

    /// The file system of `path`; `nil` where it does not tell.
    init?(of path: String) {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return nil }
        let block = Int64(status.f_frsize)
        free = Int64(status.f_bavail) * block
        total = Int64(status.f_blocks) * block
    }
}
