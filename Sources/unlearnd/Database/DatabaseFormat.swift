// SPDX-License-Identifier: Apache-2.0

import Glibc

/// What a database file says of itself, read without SQLite: opening a database may already write, when it finds a log that
/// a killed program has left.
///
/// Offsets are those of “Database File Format” and “WAL-mode File Format” (sqlite.org/fileformat2.html): the header has
/// `user_version` at 60 and `application_id` at 68; a log has a header of 32 bytes and, for each page, 24 bytes before it.
enum DatabaseFormat {
    private static let headerSize = 100
    private static let walHeaderSize = 32
    private static let frameHeaderSize = 24

    /// Refuses a database that a newer version or another program wrote, before anything is touched.
    /// - Throws: ``StartupError``.
    static func refuseForeign(_ path: String) throws(StartupError) {
        guard let header = header(path) else { return }
        // What a log adds counts: a newer version may have been killed right after its migration.
        for header in [header, logged(path)].compactMap(\.self) {
            let (version, application) = (number(header, 60), number(header, 68))
            guard application == 0 || application == Schema.applicationID else {
                throw StartupError(
                    .database, "\(path) is another program's database (application_id \(application))",
                    hint: "name another state directory")
            }
            guard version <= Schema.version else {
                throw StartupError(
                    .database,
                    "\(path) has schema \(version), written by a newer version; this one knows \(Schema.version)",
                    hint: "start the newer version, or restore a backup made before the upgrade")
            }
        }
    }

    /// The header of the file; `nil` where there is no database.
    private static func header(_ path: String) -> [UInt8]? {
        guard let file = File(path), let bytes = file.read(headerSize, at: 0) else { return nil }
        return bytes.starts(with: Array("SQLite format 3\0".utf8)) ? bytes : nil
    }

    /// The header as the log's last committed first page has it; `nil` where the log has none.
    private static func logged(_ path: String) -> [UInt8]? {
        guard let file = File(path + "-wal"), let head = file.read(walHeaderSize, at: 0) else { return nil }
        let pageSize = number(head, 8)
        guard (512...65_536).contains(pageSize) else { return nil }
        var (offset, pending, newest) = (walHeaderSize, [UInt8]?.none, [UInt8]?.none)
        while let frame = file.read(frameHeaderSize, at: offset), frame[8..<16] == head[16..<24] {
            if number(frame, 0) == 1 { pending = file.read(headerSize, at: offset + frameHeaderSize) }
            // The last frame of a transaction names the size of the database.
            if number(frame, 4) != 0 { (newest, pending) = (pending ?? newest, nil) }
            offset += frameHeaderSize + pageSize
        }
        return newest
    }

    private static func number(_ bytes: [UInt8], _ offset: Int) -> Int {
        bytes[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) }
    }
}

/// A file that is read and nothing else.
private final class File {
    private let descriptor: Int32

    init?(_ path: String) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
    }

    deinit { close(descriptor) }

    /// So many bytes; `nil` where there are fewer.
    func read(_ count: Int, at offset: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        return pread(descriptor, &bytes, count, off_t(offset)) == count ? bytes : nil
    }
}
