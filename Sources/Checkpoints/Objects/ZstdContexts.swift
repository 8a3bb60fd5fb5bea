// SPDX-License-Identifier: Apache-2.0

import CZstd

/// One zstd compression context with fixed parameters.
///
/// Output is always a standard frame that states its content size, without dictionary or checksum.
struct ZstdCompressor: ~Copyable {
    enum Profile {
        /// Entropy coding only: matches are not looked for, literals are always Huffman coded. Weights hold no
        /// repeats, and at the lowest level this is several times as fast as level 1 (and smaller).
        case huffman
        /// Level 1: better where values do repeat.
        case fast
    }

    private let context: OpaquePointer

    /// A context; `nil` without memory or when the library lacks a parameter.
    init?(_ profile: Profile) {
        guard let context = ZSTD_createCCtx() else { return nil }
        let level: Int32
        let literals: Int32
        switch profile {
        case .huffman: (level, literals) = (ZSTD_minCLevel(), Int32(ZSTD_ps_enable.rawValue))
        case .fast: (level, literals) = (1, Int32(ZSTD_ps_auto.rawValue))
        }
        let failed =
            ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)) != 0
            // Parameter 1002, experimental: how literals are coded.
            || ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_experimentalParam5, literals)) != 0
        if failed {
            ZSTD_freeCCtx(context)
            return nil
        }
        self.context = context
    }

    deinit { ZSTD_freeCCtx(context) }

    /// Compresses `bytes` into `target`; `nil` when it does not fit or fails.
    borrowing func compress(_ bytes: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer)
        -> Int?
    {
        let size = ZSTD_compress2(context, target.baseAddress, target.count, bytes.baseAddress, bytes.count)
        return ZSTD_isError(size) != 0 ? nil : size
    }

    /// The most that `count` bytes can grow to.
    static func bound(_ count: Int) -> Int { ZSTD_compressBound(count) }
}

/// One zstd decompression context.
struct ZstdDecompressor: ~Copyable {
    private let context: OpaquePointer

    /// A context; `nil` without memory.
    init?() {
        guard let context = ZSTD_createDCtx() else { return nil }
        self.context = context
    }

    deinit { ZSTD_freeDCtx(context) }

    /// Decompresses exactly one frame that fills `bytes` into exactly `target`.
    ///
    /// One-shot decompression writes into `target` alone, so no window that the frame asks for is allocated.
    /// Returns false for anything else: other sizes, dictionaries, skippable or further frames, broken data.
    borrowing func decompress(_ bytes: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer)
        -> Bool
    {
        guard ZSTD_getDictID_fromFrame(bytes.baseAddress, bytes.count) == 0,
            ZSTD_getFrameContentSize(bytes.baseAddress, bytes.count) == UInt64(target.count),
            ZSTD_findFrameCompressedSize(bytes.baseAddress, bytes.count) == bytes.count
        else { return false }
        let size = ZSTD_decompressDCtx(
            context, target.baseAddress, target.count, bytes.baseAddress, bytes.count)
        return ZSTD_isError(size) == 0 && size == target.count
    }
}
