// SPDX-License-Identifier: Apache-2.0

import Protocol

/// What an object holds.
package enum ObjectKind: UInt8, Hashable, Sendable, CaseIterable {
    /// Part of a tensor, or several small tensors.
    case chunk = 1
    /// Part of a file that is not parsed.
    case blob = 2
    /// A safetensors length and header, as they stand in the file.
    case header = 3
    case manifest = 4
    case dataset = 5

    /// The most raw bytes of one object. Lists of many chunks may be longer than a chunk.
    package var limit: Int {
        switch self {
        case .chunk, .blob, .header: ChunkPlan.grid
        case .manifest, .dataset: 4 * ChunkPlan.grid
        }
    }
}

/// The head of an object file, all little-endian:
///
/// ```
/// 0   "ULO1" | version u8 | kind u8 | representation u8 (0 full, 1 delta) | dtype u8
/// 8   raw length u64 | content id [32] | base id [32] | transform u8 | planes u8 | log2 frame u8 (20) | sealing u8
/// 84  length of the full file u64, of a delta only
///     frames × planes × { codec u8, stored length u32, crc32c u32 }   | crc32c of all before u32 | payload
/// ```
///
/// Frames of 1 MiB hold their planes one after another. What a delta's planes hold is the ``ElementDifference`` of the
/// content and the base object's. Other versions, and a sealing other than 0, belong to newer formats and are refused as
/// such. An encrypted store has all this inside of a ``SealedFile``.
struct ObjectHeader: Hashable, Sendable {
    static let fixedSize = 84
    static let frameLog2 = 20
    static let frameSize = 1 << frameLog2
    static let magic = Array("ULO1".utf8)
    /// What stands for the base of a full object.
    private static let nothing = Digest(bytes: [UInt8](repeating: 0, count: 32))
    /// The longest head of any object within the limits.
    static let maximumSize = fixedSize + 8 + 4 * (ChunkPlan.grid >> frameLog2) * 8 * 9 + 4

    /// How one plane of one frame is stored.
    struct Part: Hashable, Sendable {
        enum Codec: UInt8, Sendable { case stored = 0, zstd = 1 }
        var codec: Codec
        var size: Int
        var checksum: UInt32
    }

    var kind: ObjectKind
    var dtype: DType?
    var rawSize: Int
    var id: Digest
    var transform: PlaneTransform
    /// The object that a delta is a difference from; `nil` for a full one.
    var base: Digest?
    /// Bytes of the full file that a delta took the place of; 0 for a full one.
    var fullSize = 0
    /// Frame-major, then plane.
    var parts: [Part]

    var frames: Int { Self.frames(rawSize) }
    static func frames(_ rawSize: Int) -> Int { (rawSize + frameSize - 1) >> frameLog2 }
    static func size(rawSize: Int, transform: PlaneTransform, isDelta: Bool) -> Int {
        tableStart(isDelta) + frames(rawSize) * transform.width * 9 + 4
    }
    private static func tableStart(_ isDelta: Bool) -> Int { fixedSize + (isDelta ? 8 : 0) }

    var size: Int { Self.size(rawSize: rawSize, transform: transform, isDelta: base != nil) }
    /// Size of the whole file.
    var fileSize: Int { parts.reduce(size) { $0 + $1.size } }

    func frameCount(_ frame: Int) -> Int { min(Self.frameSize, rawSize - frame << Self.frameLog2) }

    /// Writes the head; `target` has exactly ``size`` bytes.
    func write(into target: UnsafeMutableRawBufferPointer) {
        precondition(target.count == size && parts.count == frames * transform.width)
        target.initializeMemory(as: UInt8.self, repeating: 0)
        target.copyBytes(from: Self.magic)
        target[4] = 1
        target[5] = kind.rawValue
        target[7] = dtype?.code ?? 0
        target.storeBytes(of: UInt64(rawSize).littleEndian, toByteOffset: 8, as: UInt64.self)
        for (index, byte) in id.bytes.enumerated() { target[16 + index] = byte }
        if let base {
            target[6] = 1
            for (index, byte) in base.bytes.enumerated() { target[48 + index] = byte }
            target.storeBytes(
                of: UInt64(fullSize).littleEndian, toByteOffset: Self.fixedSize, as: UInt64.self)
        }
        target[80] = transform.rawValue
        target[81] = UInt8(transform.width)
        target[82] = UInt8(Self.frameLog2)
        var at = Self.tableStart(base != nil)
        for part in parts {
            target[at] = part.codec.rawValue
            target.storeBytes(of: UInt32(part.size).littleEndian, toByteOffset: at + 1, as: UInt32.self)
            target.storeBytes(of: part.checksum.littleEndian, toByteOffset: at + 5, as: UInt32.self)
            at += 9
        }
        let checksum = crc32c(UnsafeRawBufferPointer(rebasing: target[..<at]))
        target.storeBytes(of: checksum.littleEndian, toByteOffset: at, as: UInt32.self)
    }

    /// Reads and checks the head of an object file from its first bytes.
    ///
    /// - Parameters:
    ///   - bytes: The beginning of the file; all of it, or at least ``maximumSize`` bytes.
    ///   - fileSize: Size of the whole file, which must be what the head says.
    init(_ bytes: UnsafeRawBufferPointer, fileSize: Int) throws(ObjectFault) {
        func u32(_ at: Int) -> UInt32 {
            UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
        }
        guard bytes.count >= Self.fixedSize else { throw .truncated }
        guard bytes.prefix(4).elementsEqual(Self.magic) else { throw .notAnObject }
        guard bytes[4] == 1 else { throw .newer("version \(bytes[4])") }
        // The checksum comes before any verdict on a field except those that say where it stands.
        let rawSize = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        guard let transform = PlaneTransform(rawValue: bytes[80]), Int(bytes[81]) == transform.width else {
            throw .newer("transform \(bytes[80]) with \(bytes[81]) planes")
        }
        guard bytes[82] == UInt8(Self.frameLog2) else { throw .newer("frames of 2^\(bytes[82]) bytes") }
        guard rawSize <= UInt64(ObjectKind.manifest.limit) else { throw .tooLong(rawSize) }
        guard bytes[6] <= 1 else { throw .newer("representation \(bytes[6])") }
        let isDelta = bytes[6] == 1
        let size = Self.size(rawSize: Int(rawSize), transform: transform, isDelta: isDelta)
        guard bytes.count >= size else { throw .truncated }
        let checked = UnsafeRawBufferPointer(rebasing: bytes[..<(size - 4)])
        guard crc32c(checked) == u32(size - 4) else { throw .headChecksum }
        guard bytes[83] == 0 else { throw .newer("encryption \(bytes[83])") }
        guard let kind = ObjectKind(rawValue: bytes[5]) else { throw .newer("kind \(bytes[5])") }
        guard rawSize <= UInt64(kind.limit) else { throw .tooLong(rawSize) }
        guard let id = Digest(raw: UnsafeRawBufferPointer(rebasing: bytes[16..<48])),
            let base = Digest(raw: UnsafeRawBufferPointer(rebasing: bytes[48..<80]))
        else { throw .truncated }
        let dtype = DType(code: bytes[7])
        if isDelta {
            let full = UInt64(
                littleEndian: bytes.loadUnaligned(fromByteOffset: Self.fixedSize, as: UInt64.self))
            guard kind == .chunk else { throw .delta("only a chunk can be one") }
            guard transform == PlaneTransform(differencesOf: dtype) else {
                throw .delta("its elements are not those of its type")
            }
            guard base != id else { throw .delta("its base is itself") }
            guard full <= UInt64(Self.maximumSize + ZstdCompressor.bound(kind.limit)) else {
                throw .delta("no object's file has \(full) bytes")
            }
            self.base = base
            fullSize = Int(full)
        } else if base != Self.nothing {
            throw .delta("a full object has no base")
        }
        self.kind = kind
        self.dtype = dtype
        self.rawSize = Int(rawSize)
        self.id = id
        self.transform = transform
        self.parts = []
        parts.reserveCapacity(Self.frames(Int(rawSize)) * transform.width)
        var total = size
        for frame in 0..<Self.frames(Int(rawSize)) {
            for plane in 0..<transform.width {
                let at = Self.tableStart(isDelta) + parts.count * 9
                let raw = transform.size(ofPlane: plane, frame: frameCount(frame))
                guard let codec = Part.Codec(rawValue: bytes[at]) else { throw .newer("codec \(bytes[at])") }
                let part = Part(codec: codec, size: Int(u32(at + 1)), checksum: u32(at + 5))
                guard codec == .stored ? part.size == raw : part.size <= ZstdCompressor.bound(raw) else {
                    throw .partSize
                }
                total += part.size
                parts.append(part)
            }
        }
        guard total == fileSize else { throw .fileSize(expected: total, found: fileSize) }
    }

    init(kind: ObjectKind, dtype: DType?, rawSize: Int, id: Digest, transform: PlaneTransform) {
        self.kind = kind
        self.dtype = dtype
        self.rawSize = rawSize
        self.id = id
        self.transform = transform
        self.parts = []
    }
}

/// What can be wrong with an object file.
enum ObjectFault: Error, Hashable, CustomStringConvertible {
    case truncated
    case notAnObject
    case newer(String)
    case tooLong(UInt64)
    case headChecksum
    case partSize
    case fileSize(expected: Int, found: Int)
    case frameChecksum(frame: Int, plane: Int)
    case frameData(frame: Int, plane: Int)
    case content
    case name
    case notAFile
    /// A head that no delta has.
    case delta(String)
    /// The encrypted form is not what it was.
    case seal(String)
    /// The key that it is encrypted with is not there.
    case locked(String)
    /// What the object is a difference from is not usable, and why.
    case base(Digest, String)

    var description: String {
        switch self {
        case .truncated: "the file is cut short"
        case .notAnObject: "it does not begin with ULO1"
        case .newer(let what): "it uses \(what), which this version does not know"
        case .tooLong(let size): "it claims \(size) raw bytes, more than its kind may have"
        case .headChecksum: "its head does not match its checksum"
        case .partSize: "a frame's stored size is impossible"
        case .fileSize(let expected, let found): "it has \(found) bytes where its head says \(expected)"
        case .frameChecksum(let frame, let plane):
            "plane \(plane) of frame \(frame) does not match its checksum"
        case .frameData(let frame, let plane): "plane \(plane) of frame \(frame) does not decompress"
        case .content: "its bytes do not hash to its id"
        case .name: "it is stored under another object's name"
        case .notAFile: "it is not a regular file"
        case .seal(let why): why
        case .locked(let why): why
        case .delta(let why): "it cannot be a difference: \(why)"
        case .base(let id, let why): "it is a difference from object \(id.short), and of that: \(why)"
        }
    }
}
