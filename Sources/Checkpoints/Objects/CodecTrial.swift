// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol

/// The codec alone, on one thread and in memory: how far it compresses and how fast. Seconds are the thread's own, so that
/// they mean the same beside other work.
package struct CodecTrial: Hashable, Sendable {
    /// Bytes of content.
    package var raw = 0
    /// Bytes of object files.
    package var stored = 0
    /// Seconds to compress, without what follows.
    package var compressing = 0.0
    /// Seconds to decode again what was compressed and hold it against the content, which every write does.
    package var verifying = 0.0
    /// Seconds to decompress into memory, checksums included.
    package var decompressing = 0.0
    /// Seconds to hash the content, which names it.
    package var hashing = 0.0

    /// Encodes and decodes `content`, in chunks as the store cuts them.
    /// - Throws: ``CheckpointError`` `.corrupt` if anything does not come back as it was.
    package static func run(_ content: UnsafeRawBufferPointer, dtype: DType?) throws -> CodecTrial {
        try store("the trial") {
            var trial = CodecTrial()
            let codec = try ObjectCodec()
            let target = RawBuffer(ChunkPlan.grid)
            // Once untimed: a store's codec and the buffers that it is given are used again and again, and to touch
            // their pages for the first time costs more than to fill them.
            let first = UnsafeRawBufferPointer(rebasing: content[..<min(ChunkPlan.grid, content.count)])
            _ = try codec.pack(first, id: ContentHash.of(first), kind: .chunk, dtype: dtype)
            target.prefix(first.count).copyMemory(from: first)
            for start in stride(from: 0, to: content.count, by: ChunkPlan.grid) {
                let end = min(start + ChunkPlan.grid, content.count)
                let raw = UnsafeRawBufferPointer(rebasing: content[start..<end])
                var id = ContentHash.of([UInt8]())
                trial.hashing += seconds { id = ContentHash.of(raw) }
                var file = UnsafeRawBufferPointer(start: nil, count: 0)
                trial.compressing += try seconds {
                    file = try codec.pack(raw, id: id, kind: .chunk, dtype: dtype)
                }
                trial.verifying += try seconds { try codec.verify(file, is: raw, id: id, base: nil) }
                let header = try ObjectHeader(file, fileSize: file.count)
                trial.decompressing += try seconds {
                    try codec.decode(file, header, into: target.prefix(raw.count))
                }
                guard equal(UnsafeRawBufferPointer(target.prefix(raw.count)), raw) else {
                    throw ObjectFault.content
                }
                trial.raw += raw.count
                trial.stored += file.count
            }
            return trial
        }
    }

    private static func seconds(_ work: () throws -> Void) rethrows -> Double {
        let began = now()
        try work()
        return now() - began
    }

    /// Seconds that this thread has computed.
    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
