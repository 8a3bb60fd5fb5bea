// SPDX-License-Identifier: Apache-2.0

import Client
import Glibc
import Protocol
import struct Crypto.SHA256

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A dataset as the command line names it: a stored one by its id, or a file whose rows have a right form.
enum DatasetArgument {
    case stored(Digest)
    case file(bytes: [UInt8], name: String)

    /// Reads the argument, and the file if it is one.
    /// - Throws: ``ClientError`` with status 65, naming file and line.
    init(_ argument: String) throws(ClientError) {
        let hex = argument.hasPrefix("sha256:") ? String(argument.dropFirst(7)) : argument
        if let digest = Digest(hex: hex) {
            self = .stored(digest)
            return
        }
        if argument.hasPrefix("sha256:") {
            throw ClientError(
                .usage, "“\(argument)” is no dataset's id",
                hint: "an id has 64 lower-case hexadecimal digits; see: unlearnctl dataset list")
        }
        try self.init(bytes: TextFile.read(argument), name: TextFile.name(argument))
    }

    /// Takes rows that are in memory.
    /// - Throws: ``ClientError`` with status 65, naming file and line.
    init(bytes: [UInt8], name: String) throws(ClientError) {
        do { _ = try DatasetParser.parse(bytes, name: name) } catch { throw ClientError(error) }
        self = .file(bytes: bytes, name: name)
    }

    /// Checks a file's rows for what a method wants of them; those of a stored dataset are the worker's business.
    /// - Throws: ``ClientError`` with status 65, naming file and line.
    func require(_ requirement: RowRequirement?, for kind: JobKind) throws(ClientError) {
        guard let requirement, case .file(let bytes, let name) = self else { return }
        do {
            try requirement.check(DatasetParser.parse(bytes, name: name), name: name, for: kind)
        } catch { throw ClientError(error) }
    }

    /// A file's rows; `nil` for a stored dataset.
    var rows: [DatasetRow]? {
        guard case .file(let bytes, let name) = self else { return nil }
        return try? DatasetParser.parse(bytes, name: name)
    }

    /// The dataset's id.
    var digest: Digest {
        switch self {
        case .stored(let digest): return digest
        case .file(let bytes, _):
            guard let digest = Digest(bytes: Array(SHA256.hash(data: bytes))) else {
                preconditionFailure("SHA-256 has 32 bytes")
            }
            return digest
        }
    }

    /// Sends what the daemon does not have yet.
    /// - Returns: The dataset's id.
    func store(_ session: Session) throws(ClientError) -> Digest {
        let digest = digest
        guard case .file(let bytes, let name) = self else { return digest }
        // Another client of the same user may be sending the same text: whoever finds the upload moved on or
        // gone asks anew where it stands. Somebody's bytes have arrived each time, so this ends.
        var patience = 200
        while true {
            do { return try send(bytes, digest, name, session) } catch {
                patience -= 1
                let kind = error.answer?.kind
                let hasMoved = kind == .notFound || kind == .conflict || error.answer?.field == "offset"
                guard patience > 0, hasMoved else { throw error }
                usleep(20_000)
            }
        }
    }

    private func send(
        _ bytes: [UInt8], _ digest: Digest, _ name: String, _ session: Session
    ) throws(ClientError) -> Digest {
        let begin = try session.call(
            .blobBegin, BlobBeginParams(size: Int64(bytes.count), sha256: digest), as: BlobBeginResult.self)
        if let dataset = begin.dataset { return dataset }
        guard let blob = begin.blob else {
            throw ClientError(.protocolMismatch, "the daemon opened no upload for \(name)")
        }
        var offset = begin.offset
        let step = try session.connection().hello.limits.chunk
        while offset < bytes.count {
            guard offset >= 0, step > 0 else {
                throw ClientError(.protocolMismatch, "the daemon lost count of \(name)")
            }
            let end = min(bytes.count, Int(offset) + min(step, ProtocolLimits().chunk))
            let data = Data(bytes[Int(offset)..<end]).base64EncodedString()
            let next = try session.call(
                .blobChunk, BlobChunkParams(blob: blob, offset: offset, data: data), as: BlobChunkResult.self)
            guard next.offset > offset else {
                throw ClientError(.protocolMismatch, "the daemon took nothing of \(name)")
            }
            offset = next.offset
            session.output.progress(
                "sending \(Text.safe(name))  \(Text.bytes(offset)) of \(Text.bytes(Int64(bytes.count)))")
        }
        session.output.progress("")
        return try session.call(
            .blobCommit, BlobCommitParams(blob: blob, name: name), as: DatasetSummary.self
        ).dataset
    }
}
