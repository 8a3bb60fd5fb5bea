// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// The journal's own socket, which takes fields beside a message (systemd's “Native Journal Protocol”).
struct Journal: Sendable {
    private static let path = "/run/systemd/journal/socket"
    /// What one datagram may have; a longer entry would have to travel as a file.
    private static let longest = 64 << 10

    private let descriptor: Int32

    /// `nil` where no journal listens.
    init?() {
        guard let address = UnixAddress(Self.path) else { return nil }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        guard address.withPointer({ connect(descriptor, $0, $1) }) == 0 else {
            close(descriptor)
            return nil
        }
        self.descriptor = descriptor
    }

    /// Whether the journal took the entry.
    ///
    /// - Parameter fields: By their names, ``name(of:)`` of what is our own; values without line breaks.
    func write(_ fields: [(name: String, value: String)]) -> Bool {
        let entry = fields.map { "\($0.name)=\($0.value)\n" }.joined()
        let bytes = Array(entry.utf8)
        guard bytes.count <= Self.longest else { return false }
        return bytes.withUnsafeBytes { cl_send(descriptor, $0.baseAddress, $0.count, nil, 0) } == bytes.count
    }

    /// The field of a log's metadata key: `UNLEARND_JOB` of `job`.
    static func name(of key: String) -> String {
        "UNLEARND_"
            + String(
                key.unicodeScalars.map {
                    $0.isASCII && $0.properties.isAlphabetic || ("0"..."9").contains($0) ? Character($0) : "_"
                }
            )
            .uppercased()
    }
}
