// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The form of an object file in an encrypted store, all little-endian:
///
/// ```
/// 0   "ULE1" | version u8 (1) | 0 u8 × 3 | key's name [16] | salt [16] | length of the head u32 | length of all u64
/// 52  the object file's head, sealed | its payload in pieces of 1 MiB, the last one shorter, each sealed
/// ```
///
/// The file's key comes of the key with that name, the salt and the file's name (``VersionKey``); no other file has
/// it, so the pieces are sealed with the counters 0, 1, 2, …. Each is bound to the 52 bytes and the file's name: pieces
/// cannot be left out, put elsewhere or taken from another file.
struct SealedFile: Hashable, Sendable {
    static let headSize = 52
    static let magic = Array("ULE1".utf8)
    static let piece = 1 << 20
    /// The longest file of any object within the limits.
    static let longest =
        ObjectHeader.maximumSize + ZstdCompressor.bound(ObjectKind.manifest.limit)

    /// What a file is called, which its key and its pieces are bound to.
    struct Name: Hashable, Sendable {
        var isDataset: Bool
        var digest: Digest

        var bytes: [UInt8] { [isDataset ? 1 : 0] + digest.bytes }
    }

    var name: Name
    /// The key of the ring.
    var key: KeyName
    /// Tells it from other files of that key.
    var salt: KeyName
    /// Bytes of the object file's head.
    var inner: Int
    /// Bytes of the object file.
    var size: Int

    init(_ name: Name, key: KeyName, inner: Int, size: Int) {
        (self.name, self.key, self.inner, self.size) = (name, key, inner, size)
        salt = KeyName()
    }

    /// Reads the head of a file of that name from its first bytes.
    /// - Parameter fileSize: Size of the whole file, which must be what the head says.
    init(_ bytes: UnsafeRawBufferPointer, _ name: Name, fileSize: Int) throws(ObjectFault) {
        func number(_ range: Range<Int>) -> UInt64 {
            bytes[range].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        guard bytes.count >= Self.headSize else { throw .truncated }
        guard bytes.prefix(4).elementsEqual(Self.magic) else { throw .seal("it is not encrypted") }
        guard bytes[4] == 1, bytes[5..<8].allSatisfy({ $0 == 0 }) else {
            throw .newer("encryption of version \(bytes[4])")
        }
        guard let key = KeyName(bytes: bytes[8..<24]), let salt = KeyName(bytes: bytes[24..<40]) else {
            throw .truncated
        }
        let (inner, size) = (number(40..<44), number(44..<52))
        guard size <= Self.longest else { throw .tooLong(size) }
        guard inner >= ObjectHeader.fixedSize, inner <= ObjectHeader.maximumSize, inner <= size else {
            throw .seal("its head has an impossible length")
        }
        (self.name, self.key, self.salt) = (name, key, salt)
        (self.inner, self.size) = (Int(inner), Int(size))
        guard fileSize == self.fileSize else { throw .fileSize(expected: self.fileSize, found: fileSize) }
    }

    var head: [UInt8] {
        var bytes = Self.magic + [1, 0, 0, 0] + key.bytes + salt.bytes
        KeyTable.append(UInt32(inner), to: &bytes)
        KeyTable.append(UInt64(size), to: &bytes)
        return bytes
    }

    /// What each piece is bound to.
    var bound: [UInt8] { head + name.bytes }

    var pieces: Int { 1 + (size - inner + Self.piece - 1) / Self.piece }

    /// Which bytes of the object file a piece has.
    func plain(_ piece: Int) -> Range<Int> {
        guard piece > 0 else { return 0..<inner }
        let start = inner + (piece - 1) * Self.piece
        return start..<min(start + Self.piece, size)
    }

    /// Which bytes of the file a piece has.
    func sealed(_ piece: Int) -> Range<Int> {
        let (plain, start) = (plain(piece), Self.headSize + piece * SealingKey.tagSize)
        return plain.lowerBound + start..<plain.upperBound + start + SealingKey.tagSize
    }

    /// Bytes of the whole file.
    var fileSize: Int { Self.headSize + size + pieces * SealingKey.tagSize }
}
