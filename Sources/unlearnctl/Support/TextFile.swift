// SPDX-License-Identifier: Apache-2.0

import Client
import Glibc
import Protocol

/// Files that a person names on the command line and that are read whole.
enum TextFile {
    /// Larger ones are not read into memory.
    static let largest = 1 << 30

    /// The bytes of `path`, or of standard input for `-`.
    /// - Throws: ``ClientError`` with status 65, naming the file and why it cannot be read.
    static func read(_ path: String) throws(ClientError) -> [UInt8] {
        var bytes: [UInt8] = []
        do {
            let file = path == "-" ? Descriptor(dup(STDIN_FILENO)) : try Descriptor(opening: path, O_RDONLY)
            if try file.status().st_mode & S_IFMT == S_IFDIR { throw SystemFailure(number: EISDIR) }
            try file.readAll { piece in
                guard bytes.count + piece.count <= largest else { throw SystemFailure(number: EFBIG) }
                bytes.append(contentsOf: piece)
            }
        } catch {
            throw ClientError(
                .badInput, "cannot read \(name(path)): \(error)", hint: "name a file that you can read")
        }
        return bytes
    }

    /// What messages call `path`.
    static func name(_ path: String) -> String { path == "-" ? "standard input" : path }
}
