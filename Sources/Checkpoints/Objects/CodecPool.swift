// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Codecs waiting to be used: as many as threads have worked at once.
final class CodecPool: Sendable {
    private let idle = Mutex<[Lent]>([])

    /// Moves a codec between threads; only ever held by one.
    private struct Lent: @unchecked Sendable { let codec: ObjectCodec }

    /// Lends a codec to `body`.
    func with<R>(_ body: (ObjectCodec) throws -> R) throws -> R {
        let lent = try idle.withLock { $0.popLast() } ?? Lent(codec: ObjectCodec())
        defer { idle.withLock { $0.append(lent) } }
        return try body(lent.codec)
    }
}
