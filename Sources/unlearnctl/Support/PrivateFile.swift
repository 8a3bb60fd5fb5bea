// SPDX-License-Identifier: Apache-2.0

import Client
import Glibc
import Protocol

/// Files that this program writes for its user alone.
enum PrivateFile {
    /// Writes a file that only its owner may read, whole or not at all. A pipe or a device, such as /dev/stdout, is written
    /// to and stays what it is; a link to a file is replaced, as whoever can make it may not be whom it is written for.
    /// - Throws: ``ClientError`` with status 74.
    static func write(_ text: String, to path: String) throws(ClientError) {
        var part: String?
        do throws(SystemFailure) {
            var status = stat()
            if stat(path, &status) == 0, ![S_IFREG, S_IFDIR].contains(status.st_mode & S_IFMT) {
                return try write(text, Descriptor(opening: path, O_WRONLY | O_NOCTTY))
            }
            let target = Self.isOfSystem(path) ? resolved(path) : path
            let beside = target + ".part"
            part = beside
            let flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW
            try write(text, Descriptor(opening: beside, flags, mode: 0o600))
            try retrying { rename(beside, target) }
        } catch {
            if let part { unlink(part) }
            throw ClientError(
                .storage, "cannot write \(path): \(error)",
                hint: "name a file in a directory that you can write to")
        }
    }

    private static func write(_ text: String, _ file: Descriptor) throws(SystemFailure) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = try retrying {
                bytes.withUnsafeBytes { Glibc.write(file.number, $0.baseAddress, $0.count) }
            }
            bytes = bytes.dropFirst(count)
        }
    }

    /// Whether links there are the system's own, such as those of standard output.
    private static func isOfSystem(_ path: String) -> Bool {
        path.hasPrefix("/dev/") || path.hasPrefix("/proc/")
    }

    /// Where a path leads; the path itself where nothing is there yet.
    private static func resolved(_ path: String) -> String {
        guard let real = realpath(path, nil) else { return path }
        defer { free(real) }
        return String(cString: real)
    }
}
