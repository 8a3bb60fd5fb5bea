// SPDX-License-Identifier: Apache-2.0

import CKernels
import Protocol

/// Turns raw bytes into object files and back, with buffers of its own that are used again.
///
/// Not for use by two threads at once; ``CodecPool`` lends one to each.
final class ObjectCodec {
    private let huffman: ZstdCompressor?
    private let fast: ZstdCompressor
    private let decompressor: ZstdDecompressor
    private let level = ck_planes_level()
    private let planes = RawBuffer(planeStride * 8)
    private let trial = RawBuffer(ZstdCompressor.bound(sampleSize))
    private let sample = RawBuffer(sampleSize)
    private let frame = RawBuffer(ObjectHeader.frameSize)
    /// A plane of a delta compressed the other way; made when first needed.
    private let rival = RawBuffer(0)
    /// The file last encoded.
    private let output = RawBuffer(1 << 16)
    /// For whoever reads a file to decode.
    let input = RawBuffer(1 << 16)

    private static let sampleSize = 32 << 10
    /// One plane of a frame (all of it, for plane 0 of an odd frame), and room so that planes do not share pages'
    /// cache sets.
    private static let planeStride = ObjectHeader.frameSize / 2 + 192

    init() throws {
        guard let fast = ZstdCompressor(.fast), let decompressor = ZstdDecompressor() else {
            throw CheckpointError(.ioFailure, "no memory for a zstd context")
        }
        self.fast = fast
        self.decompressor = decompressor
        huffman = ZstdCompressor(.huffman)
    }

    /// What a delta is taken from.
    struct Base {
        var id: Digest
        /// Its content.
        var bytes: UnsafeRawBufferPointer
        /// Bytes of the full file that the delta is to take the place of.
        var fullSize: Int
    }

    /// The object file of `raw`, valid until the next call, checked by decoding it again.
    /// - Parameter base: With it the file is a delta; its content has the length of `raw`.
    func encode(
        _ raw: UnsafeRawBufferPointer, id: Digest, kind: ObjectKind, dtype: DType?, base: Base? = nil
    ) throws(ObjectFault) -> UnsafeRawBufferPointer {
        let file = try pack(raw, id: id, kind: kind, dtype: dtype, base: base)
        try verify(file, is: raw, id: id, base: base)
        return file
    }

    /// The object file of `raw`, valid until the next call, not checked.
    func pack(
        _ raw: UnsafeRawBufferPointer, id: Digest, kind: ObjectKind, dtype: DType?, base: Base? = nil
    ) throws(ObjectFault) -> UnsafeRawBufferPointer {
        guard raw.count <= kind.limit else { throw .tooLong(UInt64(raw.count)) }
        var header = ObjectHeader(
            kind: kind, dtype: dtype, rawSize: raw.count, id: id,
            transform: base == nil ? PlaneTransform(dtype) : PlaneTransform(differencesOf: dtype))
        if let base { (header.base, header.fullSize) = (base.id, base.fullSize) }
        output.reserve(header.size + raw.count + ZstdCompressor.bound(ObjectHeader.frameSize))
        var end = header.size
        var choices = [Choice](repeating: .store, count: header.transform.width)
        for index in 0..<header.frames {
            let start = index << ObjectHeader.frameLog2
            let place = start..<start + header.frameCount(index)
            var source = UnsafeRawBufferPointer(rebasing: raw[place])
            if let base {
                let codes = frame.prefix(source.count)
                ElementDifference(width: header.transform.width).take(
                    UnsafeRawBufferPointer(rebasing: base.bytes[place]), from: source, into: codes)
                source = UnsafeRawBufferPointer(codes)
            }
            // Neighbouring frames are alike: the trial is made on every eighth. Not so differences, of which most frames
            // may have none.
            let isTried = base == nil && index % 8 == 0
            // Planes that stay as they are, up to the first that may shrink, are split to where they belong.
            let placed =
                header.transform == .none || isTried || base != nil
                ? 0 : choices.prefix { $0 == .store }.count
            if header.transform != .none { split(source, header.transform, placing: placed, at: end) }
            for plane in 0..<header.transform.width {
                let count = header.transform.size(ofPlane: plane, frame: source.count)
                let target = UnsafeMutableRawBufferPointer(rebasing: output.bytes[end...])
                var part = ObjectHeader.Part(codec: .stored, size: count, checksum: 0)
                if plane >= placed {
                    let bytes =
                        header.transform == .none ? source : UnsafeRawBufferPointer(scratch(plane, count))
                    if isTried { choices[plane] = choose(bytes) }
                    let size =
                        base == nil
                        ? compress(bytes, choices[plane], into: target) : compressBest(bytes, into: target)
                    if size > 0 {
                        (part.codec, part.size) = (.zstd, size)
                    } else {
                        target.copyMemory(from: bytes)
                    }
                }
                part.checksum = crc32c(UnsafeRawBufferPointer(rebasing: target[..<part.size]))
                header.parts.append(part)
                end += part.size
            }
        }
        header.write(into: output.prefix(header.size))
        return UnsafeRawBufferPointer(output.prefix(end))
    }

    /// Splits a frame: its first planes to the output from `end` on, the others to where they are compressed from.
    private func split(
        _ source: UnsafeRawBufferPointer, _ transform: PlaneTransform, placing placed: Int, at end: Int
    ) {
        var end = end
        var targets: [UnsafeMutableRawBufferPointer] = []
        for plane in 0..<transform.width {
            let count = transform.size(ofPlane: plane, frame: source.count)
            if plane < placed {
                targets.append(UnsafeMutableRawBufferPointer(rebasing: output.bytes[end..<end + count]))
                end += count
            } else {
                targets.append(scratch(plane, count))
            }
        }
        transform.split(source, into: targets, level: level)
    }

    /// Where a plane of a frame lies until it is compressed, or before it is merged.
    private func scratch(_ plane: Int, _ count: Int) -> UnsafeMutableRawBufferPointer {
        let start = plane * Self.planeStride
        return UnsafeMutableRawBufferPointer(rebasing: planes.bytes[start..<start + count])
    }

    /// Decodes a file into `target`, which has exactly its raw size and, for a delta, holds the base's content. Does
    /// not check the content id.
    func decode(
        _ file: UnsafeRawBufferPointer, _ header: ObjectHeader, into target: UnsafeMutableRawBufferPointer
    ) throws(ObjectFault) {
        precondition(target.count == header.rawSize)
        var at = header.size
        for index in 0..<header.frames {
            let start = index << ObjectHeader.frameLog2
            let piece = UnsafeMutableRawBufferPointer(
                rebasing: target[start..<start + header.frameCount(index)])
            guard header.base != nil else {
                try decodeFrame(file, header, index, at: &at, into: piece)
                continue
            }
            let codes = frame.prefix(piece.count)
            try decodeFrame(file, header, index, at: &at, into: codes)
            ElementDifference(width: header.transform.width).add(
                UnsafeRawBufferPointer(codes), to: UnsafeRawBufferPointer(piece), into: piece)
        }
    }

    /// The checksums of all frames, without decoding them.
    func check(_ file: UnsafeRawBufferPointer, _ header: ObjectHeader) throws(ObjectFault) {
        var at = header.size
        for (index, part) in header.parts.enumerated() {
            guard crc32c(UnsafeRawBufferPointer(rebasing: file[at..<at + part.size])) == part.checksum else {
                throw .frameChecksum(
                    frame: index / header.transform.width, plane: index % header.transform.width)
            }
            at += part.size
        }
    }

    /// Decodes a file and holds it against the content.
    func verify(
        _ file: UnsafeRawBufferPointer, is raw: UnsafeRawBufferPointer, id: Digest, base: Base?
    ) throws(ObjectFault) {
        let header = try ObjectHeader(file, fileSize: file.count)
        guard header.id == id, header.rawSize == raw.count, header.base == base?.id else { throw .content }
        var at = header.size
        for index in 0..<header.frames {
            let start = index << ObjectHeader.frameLog2
            let piece = frame.prefix(header.frameCount(index))
            try decodeFrame(file, header, index, at: &at, into: piece)
            if let base {
                ElementDifference(width: header.transform.width).add(
                    UnsafeRawBufferPointer(piece),
                    to: UnsafeRawBufferPointer(rebasing: base.bytes[start..<start + piece.count]), into: piece
                )
            }
            let original = UnsafeRawBufferPointer(rebasing: raw[start..<start + piece.count])
            guard equal(UnsafeRawBufferPointer(piece), original) else { throw .content }
        }
    }

    private func decodeFrame(
        _ file: UnsafeRawBufferPointer, _ header: ObjectHeader, _ index: Int, at: inout Int,
        into target: UnsafeMutableRawBufferPointer
    ) throws(ObjectFault) {
        var split: [UnsafeRawBufferPointer] = []
        for plane in 0..<header.transform.width {
            let part = header.parts[index * header.transform.width + plane]
            let stored = UnsafeRawBufferPointer(rebasing: file[at..<at + part.size])
            at += part.size
            guard crc32c(stored) == part.checksum else { throw .frameChecksum(frame: index, plane: plane) }
            let count = header.transform.size(ofPlane: plane, frame: target.count)
            let room = header.transform == .none ? target : scratch(plane, count)
            switch part.codec {
            case .stored where header.transform == .none: target.copyMemory(from: stored)
            case .stored: split.append(stored)
            case .zstd:
                guard decompressor.decompress(stored, into: room) else {
                    throw .frameData(frame: index, plane: plane)
                }
                split.append(UnsafeRawBufferPointer(room))
            }
        }
        if header.transform != .none { header.transform.merge(split, into: target, level: level) }
    }

    /// What suits a plane.
    private enum Choice { case store, huffman, fast }

    /// Tries on a sample. Below 3 % gain the time to decompress is not worth it.
    private func choose(_ bytes: UnsafeRawBufferPointer) -> Choice {
        let sample = sampled(bytes)
        let byHuffman = huffman?.compress(sample, into: trial.bytes) ?? sample.count
        let byMatches = fast.compress(sample, into: trial.bytes) ?? sample.count
        guard min(byHuffman, byMatches) < sample.count - sample.count / 32 else { return .store }
        return byMatches < byHuffman ? .fast : .huffman
    }

    /// Compresses one plane; 0 when it is better stored as it is.
    private func compress(
        _ bytes: UnsafeRawBufferPointer, _ choice: Choice, into target: UnsafeMutableRawBufferPointer
    ) -> Int {
        let size: Int? =
            switch choice {
            case .store: nil
            case .huffman: huffman?.compress(bytes, into: target)
            case .fast: fast.compress(bytes, into: target)
            }
        guard let size, size < bytes.count - bytes.count / 32 else { return 0 }
        return size
    }

    /// Compresses one plane of a delta both ways, and keeps the shorter; 0 when it is better stored as it is.
    private func compressBest(
        _ bytes: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) -> Int {
        let byMatches = compress(bytes, .fast, into: target)
        rival.reserve(ZstdCompressor.bound(bytes.count))
        let byHuffman = compress(bytes, .huffman, into: rival.bytes)
        guard byHuffman > 0, byMatches == 0 || byHuffman < byMatches else { return byMatches }
        target.copyMemory(from: UnsafeRawBufferPointer(rival.prefix(byHuffman)))
        return byHuffman
    }

    /// Four pieces spread over the plane, or all of a short one.
    private func sampled(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        if bytes.count <= Self.sampleSize { return bytes }
        let piece = Self.sampleSize / 4
        for index in 0..<4 {
            let start = (bytes.count - piece) / 3 * index
            UnsafeMutableRawBufferPointer(rebasing: sample.bytes[(index * piece)...])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[start..<start + piece]))
        }
        return UnsafeRawBufferPointer(sample.prefix(Self.sampleSize))
    }
}
