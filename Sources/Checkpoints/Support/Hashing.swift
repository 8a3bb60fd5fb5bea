// SPDX-License-Identifier: Apache-2.0

import Crypto
import Protocol

/// SHA-256 (FIPS 180-4), the only hash that names things here.
package struct ContentHash {
    private var state = SHA256()

    /// The hash of nothing yet.
    package init() {}

    /// Takes in more bytes.
    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        state.update(bufferPointer: bytes)
    }

    /// The digest of all bytes taken in so far.
    package func finish() -> Protocol.Digest { Self.digest(state.finalize()) }

    /// The digest of `bytes`.
    package static func of(_ bytes: UnsafeRawBufferPointer) -> Protocol.Digest {
        var hash = ContentHash()
        hash.update(bytes)
        return hash.finish()
    }

    /// The digest of `bytes`.
    package static func of(_ bytes: [UInt8]) -> Protocol.Digest { bytes.withUnsafeBytes { of($0) } }

    private static func digest(_ value: SHA256.Digest) -> Protocol.Digest {
        guard let digest = value.withUnsafeBytes({ Protocol.Digest(raw: $0) }) else {
            preconditionFailure("SHA-256 has 32 bytes")
        }
        return digest
    }
}
