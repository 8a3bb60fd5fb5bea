// SPDX-License-Identifier: Apache-2.0

import Glibc
import GRDB

/// Disk space that is kept so that a purge can be written down on a full disk.
struct SpaceReserve: Sendable {
    /// More than the records of a purge take.
    static let size = 8 << 20

    private let path: String

    /// The file `reserve` of a state directory.
    init(_ stateDirectory: String) { path = stateDirectory + "/reserve" }

    /// Takes the space, if it is there to be had.
    func take() {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        // Half of it helps nobody.
        if posix_fallocate(descriptor, 0, off_t(Self.size)) != 0 { unlink(path) }
    }

    /// Runs `body`, and once more with the space given up if the disk is full.
    func spending<T>(_ body: () async throws -> T) async throws -> T {
        do {
            return try await body()
        } catch let error as DatabaseError where error.resultCode == .SQLITE_FULL {
            unlink(path)
            return try await body()
        }
    }
}
