// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Whether a path can be changed by others than root and the daemon's own user.
enum PathOwnership {
    /// What is wrong with a path or one of the directories above it; `nil` when nothing is.
    ///
    /// - Parameter path: Absolute and without links, as `realpath` gives it.
    static func fault(of path: String) -> String? {
        var part = path
        var isLast = true
        while true {
            var status = stat()
            guard lstat(part, &status) == 0 else { return "\(part): \(String(cString: strerror(errno)))" }
            guard status.st_uid == 0 || status.st_uid == geteuid() else {
                return "\(part) belongs to user \(status.st_uid), who could change it"
            }
            // In a directory such as /tmp nobody can rename what another one owns.
            let isProtected = !isLast && status.st_mode & S_ISVTX != 0
            guard status.st_mode & 0o022 == 0 || isProtected else {
                return "\(part) can be written by others (mode \(String(status.st_mode & 0o7777, radix: 8)))"
            }
            guard part != "/" else { return nil }
            isLast = false
            let slash = part.lastIndex(of: "/") ?? part.startIndex
            part = slash == part.startIndex ? "/" : String(part[..<slash])
        }
    }
}
