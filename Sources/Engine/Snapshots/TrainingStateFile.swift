// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Glibc
import Protocol

/// A training run's state in a file: replaced as a whole or not at all, and worth nothing to another run.
///
/// Layout: `UNLDTRN1`, the header's length as 8 bytes (little-endian), the header (JSON: `identity`, `state`,
/// `buffers` with name and ranges), zeros up to a multiple of 64, the buffers' f32 values one after the other as
/// this machine holds them, and the SHA-256 of all that. The identity says which run on which software and kernels.
package struct TrainingStateFile {
    /// Why a file is not used.
    package struct Unusable: Error, Hashable, Sendable {
        /// What is the matter with it.
        package let reason: String
    }

    /// Values of a run that are kept: those of some ranges, the rest does not change.
    package struct Buffer {
        let name: String
        let storage: FloatStorage
        let ranges: [Range<Int>]
        /// What this process holds of them, where others hold the rest.
        let held: [Range<Int>]?

        /// The values of `ranges` of a storage.
        package init(
            name: String, storage: FloatStorage, ranges: [Range<Int>], held: [Range<Int>]? = nil
        ) {
            self.name = name
            self.storage = storage
            self.ranges = ranges
            self.held = held
        }

        var isWhole: Bool { held == nil }
    }

    private struct Header: Codable {
        struct Buffer: Codable, Hashable {
            var name: String
            /// Where each range begins and ends.
            var ranges: [[Int]]

            init(_ buffer: TrainingStateFile.Buffer) {
                name = buffer.name
                ranges = buffer.ranges.map { [$0.lowerBound, $0.upperBound] }
            }
        }
        var identity: JSONValue
        var state: TrainerState
        var buffers: [Buffer]
    }

    private static let magic = Array("UNLDTRN1".utf8)
    private static let hashSize = 32
    private static let longestHeader = 64 << 20
    /// Values that are hashed and written at one time: 4 MiB.
    static let piece = 1 << 20

    /// Where the run stood.
    package let state: TrainerState

    private let path: String
    private let buffers: [Header.Buffer]
    private let dataStart: Int

    // MARK: Reading

    /// Opens the file of the run that `identity` describes and checks it from end to end.
    ///
    /// - Returns: `nil` when there is none.
    /// - Throws: ``Unusable`` for a file of another run or a damaged one.
    package init?(path: String, identity: JSONValue) throws(Unusable) {
        guard let file = fopen(path, "re") else {
            if errno == ENOENT { return nil }
            throw Unusable(reason: "it cannot be read: \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        guard let prefix = Self.read(16, file), Array(prefix[..<8]) == Self.magic else {
            throw Unusable(reason: "it is of another format")
        }
        let length = prefix[8...].reversed().reduce(0) { $0 << 8 | Int($1) }
        guard length <= Self.longestHeader, let text = Self.read(length, file) else {
            throw Unusable(reason: "it is damaged")
        }
        let header: Header
        do { header = try StrictJSON.parse(text).decode(Header.self, allowUnknown: true) } catch {
            throw Unusable(reason: "it was written by another version of the software")
        }
        // Written with sorted keys on both sides, so that order says nothing.
        guard header.identity.serialized(sortedKeys: true) == identity.serialized(sortedKeys: true) else {
            throw Unusable(reason: Self.difference(header.identity, identity))
        }
        state = header.state
        buffers = header.buffers
        self.path = path
        dataStart = Self.aligned(16 + length)
        var values = 0
        for range in header.buffers.flatMap(\.ranges) {
            guard range.count == 2, range[0] >= 0, (range[0]...(1 << 48)).contains(range[1]) else {
                throw Unusable(reason: "it is damaged")
            }
            values += range[1] - range[0]
        }
        try Self.verify(file, size: dataStart + 4 * values)
    }

    /// Fills `buffers` with the values in the file.
    ///
    /// - Throws: ``Unusable`` when they are not the buffers that were written.
    package func read(into buffers: [Buffer]) throws(Unusable) {
        guard self.buffers == buffers.map(Header.Buffer.init) else {
            throw Unusable(reason: "it holds other buffers")
        }
        guard let file = fopen(path, "re"), fseek(file, dataStart, SEEK_SET) == 0 else {
            throw Unusable(reason: "it cannot be read: \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        var start = dataStart
        for buffer in buffers {
            for range in buffer.ranges {
                for part in (buffer.held ?? [range]).map({ $0.clamped(to: range) }) where !part.isEmpty {
                    let target = buffer.storage.base + part.lowerBound
                    guard fseek(file, start + 4 * (part.lowerBound - range.lowerBound), SEEK_SET) == 0,
                        fread(target, 4, part.count, file) == part.count
                    else { throw Unusable(reason: "it became shorter meanwhile") }
                }
                start += 4 * range.count
            }
        }
    }

    private static func difference(_ old: JSONValue, _ new: JSONValue) -> String {
        for key in ["software", "environment", "inputs", "spec"] where old[key] != new[key] {
            switch key {
            case "software": return "it was written by another version of the software"
            case "environment": return "it was written on other kernels"
            case "inputs": return "it belongs to another base version"
            default: return "it belongs to another specification"
            }
        }
        return "it belongs to another run"
    }

    private static func verify(_ file: UnsafeMutablePointer<FILE>, size: Int) throws(Unusable) {
        guard fseek(file, 0, SEEK_END) == 0, ftell(file) == size + hashSize, fseek(file, 0, SEEK_SET) == 0
        else {
            throw Unusable(reason: "it is damaged: its size is wrong")
        }
        var hash = ContentHash()
        var rest = size
        while rest > 0 {
            guard let bytes = read(min(rest, 4 * piece), file) else {
                throw Unusable(reason: "it cannot be read")
            }
            bytes.withUnsafeBytes { hash.update($0) }
            rest -= bytes.count
        }
        guard let stored = read(hashSize, file), Protocol.Digest(bytes: stored) == hash.finish() else {
            throw Unusable(reason: "it is damaged: its hash is wrong")
        }
    }

    private static func read(_ count: Int, _ file: UnsafeMutablePointer<FILE>) -> [UInt8]? {
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
            used = fread(buffer.baseAddress, 1, count, file)
        }
        return bytes.count == count ? bytes : nil
    }

    private static func aligned(_ size: Int) -> Int { (size + 63) & ~63 }

    // MARK: Writing

    /// Writes a file under another name, makes it durable, and puts it in the place of the one before.
    ///
    /// - Returns: Its size, bytes.
    /// - Throws: ``EngineError`` with `.resources`; the one before is there then.
    ///
    /// - Parameter collect: Gives the values of the next of ``pieces(of:)``; read from the buffers unless given.
    package static func write(
        _ state: TrainerState, identity: JSONValue,
        buffers: [Buffer], to path: String, collect: (() throws -> UnsafePointer<Float>?)? = nil
    ) throws -> Int {
        let header = try JSONValue(
            encoding: Header(
                identity: identity, state: state,
                buffers: buffers.map(Header.Buffer.init))
        ).serialized()
        var start = magic + (0..<8).map { UInt8(truncatingIfNeeded: header.count >> ($0 * 8)) } + header
        start += [UInt8](repeating: 0, count: aligned(start.count) - start.count)

        let temporary = path + ".new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw failure("made") }
        var isWhole = false
        defer {
            close(descriptor)
            if !isWhole { unlink(temporary) }
        }
        var hash = ContentHash()
        var size = 0
        func put(_ bytes: UnsafeRawBufferPointer) throws {
            hash.update(bytes)
            try write(bytes, to: descriptor)
            size += bytes.count
        }
        try start.withUnsafeBytes(put)
        for part in pieces(of: buffers) {
            let own = UnsafePointer(buffers[part.buffer].storage.base + part.range.lowerBound)
            try put(UnsafeRawBufferPointer(start: try collect?() ?? own, count: 4 * part.range.count))
        }
        try hash.finish().bytes.withUnsafeBytes { try write($0, to: descriptor) }
        guard fsync(descriptor) == 0, rename(temporary, path) == 0 else { throw failure("put in its place") }
        isWhole = true
        let folder = open(String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]), O_RDONLY | O_CLOEXEC)
        defer { if folder >= 0 { close(folder) } }
        guard folder >= 0, fsync(folder) == 0 else { throw failure("made durable") }
        return size + hashSize
    }

    /// What is written at one time, in order.
    static func pieces(of buffers: [Buffer]) -> [(buffer: Int, range: Range<Int>)] {
        buffers.enumerated().flatMap { index, buffer in
            buffer.ranges.flatMap { range in
                stride(from: range.lowerBound, to: range.upperBound, by: piece).map {
                    (index, $0..<min($0 + piece, range.upperBound))
                }
            }
        }
    }

    private static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) throws {
        var done = 0
        while done < bytes.count {
            let count = Glibc.write(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw failure("written") }
            done += count
        }
    }

    private static func failure(_ what: String) -> EngineError {
        EngineError(
            .resources, "the training checkpoint cannot be \(what): \(String(cString: strerror(errno)))",
            hint: "Free space in the state directory.")
    }
}
