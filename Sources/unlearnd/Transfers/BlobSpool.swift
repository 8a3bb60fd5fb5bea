// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import struct Crypto.SHA256
import Foundation
import Glibc
import Protocol

/// Texts that clients upload in chunks, spooled to files until they are whole. In the files they are encrypted, each with
/// a key that is in memory alone, so that nothing of them can be read on the disk afterwards.
///
/// An upload belongs to a user, not to a connection: after a broken connection the same announcement finds it
/// again and says where to go on.
actor BlobSpool {
    /// How much may be under way.
    struct Limits: Sendable {
        /// Bytes announced by one user's open uploads.
        var perUser: Int64 = 4 << 30
        /// Open uploads of one user.
        var uploads = 64
        /// Longest text, bytes; it is parsed in memory.
        var longest: Int64 = 1 << 30
        /// How long an upload is kept after its last chunk.
        var patience = Duration.seconds(24 * 3600)
    }

    private struct Upload {
        var uid: UInt32
        var size: Int64
        var sha256: Digest
        var descriptor: Int32
        var path: String
        var hash = SHA256()
        let key = SealingKey()
        /// The chunks, each sealed behind the one before.
        var chunks: [(size: Int, counter: UInt64)] = []
        /// How many chunks were sealed, those that could not be written among them.
        var counter: UInt64 = 0
        var offset: Int64 = 0
        var touched = ContinuousClock.now
    }

    private let directory: String
    private let limits: Limits
    private let refusals: RefusalLog?
    private var uploads: [String: Upload] = [:]

    /// Uses a directory of its own, and removes what an earlier daemon left in it.
    /// - Parameter refusals: Is told who asked for what is another user's.
    init(
        directory: String, limits: Limits = Limits(), refusals: RefusalLog? = nil
    ) throws(StartupError) {
        self.refusals = refusals
        self.directory = directory
        self.limits = limits
        guard mkdir(directory, 0o700) == 0 || errno == EEXIST else {
            throw StartupError(
                .stateDirectory, "\(directory) cannot be made: \(String(cString: strerror(errno)))",
                hint: "check the state directory's owner and mode")
        }
        for name in (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [] {
            unlink(directory + "/" + name)
        }
    }

    /// `blob.begin`: announces a text, or finds the upload that was broken off.
    /// - Throws: `invalid_params` for a size out of range, `queue_full` when the user's quota is used up.
    func begin(_ params: BlobBeginParams, uid: UInt32) throws(RPCError) -> BlobBeginResult {
        guard (1...limits.longest).contains(params.size) else {
            throw RPCError(
                .invalidParams, "a dataset has 1 to \(limits.longest) bytes, not \(params.size)",
                field: "size")
        }
        expire()
        let own = uploads.filter { $0.value.uid == uid }
        if let same = own.first(where: { $0.value.sha256 == params.sha256 && $0.value.size == params.size }) {
            return BlobBeginResult(blob: same.key, offset: same.value.offset, dataset: nil)
        }
        let held = own.values.reduce(0) { $0 + $1.size }
        guard held + params.size <= limits.perUser, own.count < limits.uploads else {
            throw RPCError(
                .queueFull,
                "user \(uid) has \(own.count) open uploads of \(held) bytes; "
                    + "\(limits.uploads) uploads and \(limits.perUser) bytes are allowed",
                hint: "finish one first", retryAfter: 60_000)
        }
        let name = RandomToken.make()
        let path = directory + "/" + name
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw Self.fault("the upload cannot be begun") }
        uploads[name] = Upload(
            uid: uid, size: params.size, sha256: params.sha256, descriptor: descriptor, path: path)
        return BlobBeginResult(blob: name, offset: 0, dataset: nil)
    }

    /// `blob.chunk`: the bytes at the next offset.
    /// - Throws: `bad_input` for another offset or wrong base 64, `storage_full`.
    func append(_ params: BlobChunkParams, uid: UInt32) throws(RPCError) -> BlobChunkResult {
        var upload = try find(params.blob, uid)
        guard params.offset == upload.offset else {
            throw RPCError(
                .badInput, "the next byte of the upload is \(upload.offset), not \(params.offset)",
                hint: "blob.begin says where to go on", field: "offset")
        }
        guard let data = Data(base64Encoded: params.data), !data.isEmpty, data.count <= ProtocolLimits().chunk
        else {
            throw RPCError(
                .badInput, "a chunk has 1 to \(ProtocolLimits().chunk) bytes in base 64", field: "data")
        }
        guard upload.offset + Int64(data.count) <= upload.size else {
            throw RPCError(
                .badInput, "the chunk goes beyond the \(upload.size) bytes that were announced", field: "data"
            )
        }
        let counter = upload.counter
        guard
            let sealed = try? data.withUnsafeBytes({
                try upload.key.seal($0, counter: counter, bound: [])
            })
        else { throw RPCError(.internal, "the chunk cannot be encrypted") }
        // Whatever becomes of the chunk, nothing else is ever sealed with its counter.
        upload.counter += 1
        uploads[params.blob] = upload
        let start = Int(upload.offset) + upload.chunks.count * SealingKey.tagSize
        var done = 0
        while done < sealed.count {
            let written = sealed[done...].withUnsafeBytes {
                pwrite(upload.descriptor, $0.baseAddress, $0.count, off_t(start + done))
            }
            guard written > 0 else { throw Self.fault("the chunk cannot be stored") }
            done += written
        }
        upload.chunks.append((data.count, counter))
        upload.hash.update(data: data)
        upload.offset += Int64(data.count)
        upload.touched = .now
        uploads[params.blob] = upload
        return BlobChunkResult(offset: upload.offset)
    }

    /// `blob.commit`, first half: ends the upload and gives its bytes.
    /// - Throws: `conflict` when bytes are missing, `bad_input` when the hash is another one (the upload is gone then).
    func finish(_ name: String, uid: UInt32) async throws(RPCError) -> [UInt8] {
        let upload = try find(name, uid)
        guard upload.offset == upload.size else {
            throw RPCError(
                .conflict, "only \(upload.offset) of the upload's \(upload.size) bytes have come",
                hint: "send the others with blob.chunk")
        }
        uploads[name] = nil
        defer { Self.discard(upload) }
        guard Digest(bytes: Array(upload.hash.finalize())) == upload.sha256 else {
            throw RPCError(
                .badInput, "the bytes do not have the SHA-256 that was announced",
                hint: "upload the text again")
        }
        return try await answering {
            try await offloading {
                var bytes = [UInt8](repeating: 0, count: Int(upload.size))
                var (start, place) = (0, 0)
                for (size, counter) in upload.chunks {
                    let sealed = try Self.read(
                        upload.descriptor, at: place, count: size + SealingKey.tagSize)
                    let isOpen = sealed.withUnsafeBytes { sealed in
                        bytes[start..<start + size].withUnsafeMutableBytes {
                            upload.key.open(sealed, counter: counter, bound: [], into: $0)
                        }
                    }
                    guard isOpen else { throw RPCError(.integrity, "the upload was changed on the disk") }
                    start += size
                    place += size + SealingKey.tagSize
                }
                return bytes
            }
        }
    }

    private static func read(_ descriptor: Int32, at start: Int, count: Int) throws(RPCError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let read = bytes[done...].withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress, $0.count, off_t(start + done))
            }
            guard read > 0 else { throw fault("the upload cannot be read back") }
            done += read
        }
        return bytes
    }

    /// Forgets uploads that nobody goes on with.
    func expire() {
        let now = ContinuousClock.now
        for (name, upload) in uploads where now - upload.touched > limits.patience {
            uploads[name] = nil
            Self.discard(upload)
        }
    }

    private func find(_ name: String, _ uid: UInt32) throws(RPCError) -> Upload {
        guard let upload = uploads[name], upload.uid == uid else {
            if uploads[name] != nil { refusals?.refused(uid, "upload", .notFound) }
            throw RPCError(
                .notFound, "there is no open upload \(name.prefix(64))",
                hint: "uploads end with the daemon; begin anew")
        }
        return upload
    }

    private static func discard(_ upload: Upload) {
        close(upload.descriptor)
        unlink(upload.path)
    }

    private static func fault(_ what: String) -> RPCError {
        let code = errno
        let reason = String(cString: strerror(code))
        return code == ENOSPC || code == EDQUOT
            ? RPCError(.storageFull, "\(what): \(reason)", hint: "free space and try again")
            : RPCError(.internal, "\(what): \(reason)")
    }
}
