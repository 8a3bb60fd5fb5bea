// SPDX-License-Identifier: Apache-2.0

import Client
import Glibc
import Protocol

/// Files that this program writes for its user alone.
enum PrivateFile {
    /// Writes a file that only its owner may read, whole or not at all.
    /// - Throws: ``ClientError`` with status 74.
    static func write(_ text: String, to path: String) throws(ClientError) {
        let part = path + ".part"
        do throws(SystemFailure) {
            let flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW
            let file = try Descriptor(opening: part, flags, mode: 0o600)
            var bytes = Array(text.utf8)[...]
            while !bytes.isEmpty {
                let count = try retrying {
                    bytes.withUnsafeBytes { Glibc.write(file.number, $0.baseAddress, $0.count) }
                }
                bytes = bytes.dropFirst(count)
            }
            try retrying { rename(part, path) }
        } catch {
            unlink(part)
            throw ClientError(
                .storage, "cannot write \(path): \(error)",
                hint: "name a file in a directory that you can write to")
        }
    }
}
