// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Glibc
import Protocol
import SystemPackage

/// Where the master key of an encrypted store is: in a file, or with systemd.
package struct MasterKeySource: Hashable, Sendable {
    /// The name of systemd's credential.
    static let credential = "unlearnd-master-key"
    private static let largest = 4096

    /// The file that the operator named; it comes before a credential.
    package var file: String?
    /// Where systemd puts credentials (`CREDENTIALS_DIRECTORY`).
    package var credentials: String?

    /// A source.
    package init(file: String? = nil, credentials: String? = nil) {
        self.file = file
        self.credentials = credentials.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Reads the key.
    /// - Parameter root: The state directory, in which the key must not lie.
    /// - Throws: ``StartupError`` for a key that is not there, is none, or that others can read.
    func read(besides root: String) throws(StartupError) -> MasterKey {
        let path: String
        if let file {
            let place = FilePath(file).lexicallyNormalized()
            guard !place.starts(with: FilePath(root).lexicallyNormalized()) else {
                throw StartupError(
                    .encryption, "the master key \(file) lies in the state directory that it locks",
                    hint: "keep it on another disk, or give it as a credential of systemd")
            }
            path = file
        } else if let credentials, access("\(credentials)/\(Self.credential)", F_OK) == 0 {
            path = "\(credentials)/\(Self.credential)"
        } else {
            throw StartupError(
                .encryption, "the store in \(root) is encrypted, and no master key is given",
                hint: "set master_key_file, or LoadCredential=\(Self.credential):PATH in the unit")
        }
        return try Self.read(path, isCredential: file == nil)
    }

    /// Reads the key in a file.
    /// - Parameter isCredential: Systemd opens its credentials to the service by an access list, which shows as the
    ///   group's right.
    static func read(_ path: String, isCredential: Bool) throws(StartupError) -> MasterKey {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw StartupError(
                .encryption, "the master key \(path) cannot be read: \(String(cString: strerror(errno)))",
                hint: "the daemon's user must own it and be able to read it")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw StartupError(.encryption, "the master key \(path) is not a file", hint: "name a file")
        }
        guard status.st_uid == 0 || status.st_uid == geteuid() else {
            throw StartupError(
                .encryption,
                "the master key \(path) belongs to user \(status.st_uid), not to root or user \(geteuid())",
                hint: "chown it to the daemon's user")
        }
        guard status.st_mode & (isCredential ? 0o007 : 0o077) == 0 else {
            throw StartupError(
                .encryption,
                "the master key \(path) is open to other users (mode \(String(status.st_mode & 0o777, radix: 8)))",
                hint: "chmod 600 \(path); if they may have read it, make another one: unlearnd rekey")
        }
        var bytes = [UInt8](repeating: 0, count: largest)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        guard count >= 0 else {
            throw StartupError(
                .encryption, "the master key \(path) cannot be read: \(String(cString: strerror(errno)))",
                hint: "check its disk")
        }
        do { return try MasterKey(parsing: Array(bytes.prefix(count))) } catch let error as CheckpointError {
            throw StartupError(.encryption, "\(path): \(error.message)", hint: error.hint)
        } catch {
            throw StartupError(.encryption, "\(path): \(error)", hint: "check the file")
        }
    }
}
