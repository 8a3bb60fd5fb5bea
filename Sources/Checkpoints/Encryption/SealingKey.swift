// SPDX-License-Identifier: Apache-2.0

import Crypto
import Protocol

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A key of AES-256-GCM (NIST SP 800-38D), in memory that is cleared when the last holder lets go.
///
/// Nonces are counters: whoever seals with a key counts from 0, and seals nothing else with it, ever.
package struct SealingKey: Sendable {
    /// Bytes that a sealed piece has more than the plain one.
    package static let tagSize = 16
    /// Bytes of a key.
    static let size = 32
    private static let nonceSize = 12

    private let key: SymmetricKey

    private init(_ key: SymmetricKey) { self.key = key }

    /// A new random key.
    package init() { key = SymmetricKey(size: .bits256) }

    /// A key from its bytes; `nil` unless there are 32.
    init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.size else { return nil }
        key = SymmetricKey(data: Array(bytes))
    }

    /// The key's bytes, for what is itself sealed.
    var bytes: [UInt8] { key.withUnsafeBytes { Array($0) } }

    /// A key of this one by HKDF-SHA256 (RFC 5869): others for other salts or purposes, and none tells of another.
    func derive(salt: [UInt8], for purpose: [UInt8]) -> SealingKey {
        SealingKey(
            HKDF<SHA256>.deriveKey(
                inputKeyMaterial: key, salt: salt, info: purpose, outputByteCount: Self.size))
    }

    /// Seals a piece.
    ///
    /// - Parameters:
    ///   - counter: Never used with this key before.
    ///   - bound: What must be the same when it is opened; it is not part of the result.
    /// - Returns: As many bytes as the piece has, and the tag.
    package func seal(_ plain: UnsafeRawBufferPointer, counter: UInt64, bound: [UInt8]) throws -> [UInt8] {
        let box = try AES.GCM.seal(plain, using: key, nonce: Self.nonce(counter), authenticating: bound)
        // The nonce is known to whoever opens it.
        return Array((box.combined ?? Data()).dropFirst(Self.nonceSize))
    }

    /// Opens a piece into `target`, which has exactly its plain size. False if anything about it is not as it was.
    package func open(
        _ sealed: UnsafeRawBufferPointer, counter: UInt64, bound: [UInt8],
        into target: UnsafeMutableRawBufferPointer
    ) -> Bool {
        guard sealed.count == target.count + Self.tagSize, let nonce = try? Self.nonce(counter),
            let box = try? AES.GCM.SealedBox(
                nonce: nonce, ciphertext: UnsafeRawBufferPointer(rebasing: sealed.dropLast(Self.tagSize)),
                tag: UnsafeRawBufferPointer(rebasing: sealed.suffix(Self.tagSize))),
            let plain = try? AES.GCM.open(box, using: key, authenticating: bound)
        else { return false }
        target.copyBytes(from: plain)
        return true
    }

    private static func nonce(_ counter: UInt64) throws -> AES.GCM.Nonce {
        try AES.GCM.Nonce(
            data: [0, 0, 0, 0] + (0..<8).map { UInt8(truncatingIfNeeded: counter >> (56 - 8 * $0)) })
    }
}
