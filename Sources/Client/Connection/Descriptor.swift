// SPDX-License-Identifier: Apache-2.0

import Glibc

/// An open file, closed with its last reference.
package final class Descriptor {
    package let number: Int32

    /// Takes over an open descriptor.
    package init(_ number: Int32) { self.number = number }

    /// Opens `path`; close-on-exec always.
    package init(opening path: String, _ flags: Int32, mode: mode_t = 0) throws(SystemFailure) {
        number = try retrying { open(path, flags | O_CLOEXEC, mode) }
    }

    deinit { close(number) }

    /// What the open file is.
    package func status() throws(SystemFailure) -> stat {
        var status = stat()
        try retrying { fstat(number, &status) }
        return status
    }

    /// Whether it is a regular file.
    package func isRegularFile() throws(SystemFailure) -> Bool { try status().st_mode & S_IFMT == S_IFREG }

    /// Reads from the present position to the end, piece by piece.
    /// - Parameter piece: Called with 1 MiB or less at a time.
    package func readAll(_ piece: (UnsafeRawBufferPointer) throws -> Void) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let count = try retrying { read(number, buffer.baseAddress, buffer.count) }
            if count == 0 { return }
            try piece(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }
}
