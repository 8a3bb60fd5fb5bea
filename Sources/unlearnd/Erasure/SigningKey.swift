// SPDX-License-Identifier: Apache-2.0

import enum Crypto.Curve25519
import Foundation
import Glibc
import Protocol

/// The Ed25519 key that signs certificates: `keys/audit` in the state directory, made when first needed.
enum SigningKey {
    /// Reads the key, or makes it, durably.
    /// - Throws: `RPCError` `integrity` for a file that is no key or that others can read.
    static func load(_ stateDirectory: String) throws -> Curve25519.Signing.PrivateKey {
        let directory = stateDirectory + "/keys"
        let path = directory + "/audit"
        if let key = try read(path) { return key }
        guard mkdir(directory, 0o700) == 0 || errno == EEXIST else {
            throw fault(directory, "cannot be made")
        }
        let key = Curve25519.Signing.PrivateKey()
        // Under a name of its own first, then linked: of two that are made at once one stays, and all use that.
        let temporary = "\(path).\(RandomToken.make())"
        defer { unlink(temporary) }
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw fault(temporary, "cannot be made") }
        let written = key.rawRepresentation.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        let isDurable = written == 32 && fsync(descriptor) == 0
        close(descriptor)
        guard isDurable else { throw fault(temporary, "cannot be written") }
        guard link(temporary, path) == 0 || errno == EEXIST else { throw fault(path, "cannot be made") }
        let folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw fault(directory, "cannot be opened") }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw fault(directory, "cannot be made durable") }
        guard let made = try read(path) else { throw fault(path, "is not there") }
        return made
    }

    private static func read(_ path: String) throws -> Curve25519.Signing.PrivateKey? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw fault(path, "cannot be read")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & 0o077 == 0 else {
            throw RPCError(.integrity, "\(path) can be read by others", hint: "chmod 600 \(path)")
        }
        var bytes = [UInt8](repeating: 0, count: 33)
        guard Glibc.read(descriptor, &bytes, 33) == 32,
            let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: bytes.prefix(32))
        else {
            throw RPCError(
                .integrity, "\(path) is no key of 32 bytes",
                hint: "restore it from a backup; without it new certificates have another key")
        }
        return key
    }

    private static func fault(_ path: String, _ what: String) -> RPCError {
        RPCError(
            .internal, "\(path) \(what): \(String(cString: strerror(errno)))",
            hint: "check the state directory's owner, mode and space")
    }
}
