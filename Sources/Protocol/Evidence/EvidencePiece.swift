// SPDX-License-Identifier: Apache-2.0

/// One named piece of a job's evidence: data that stay, and texts that a purge takes.
package struct EvidencePiece: Codable, Hashable, Sendable {
    /// Most bytes of ``data`` as JSON.
    package static let mostData = 5 << 19
    /// Most bytes of ``texts`` as JSON; together with the data they fit one line of the protocol.
    package static let mostTexts = 1 << 20
    /// Most pieces of one job.
    package static let mostPieces = 32
    /// Most tensors that ``EvidenceName/diff`` lists.
    package static let mostTensors = 2000

    /// Which piece it is; decides the shape of the rest.
    package var name: EvidenceName
    /// Numbers, digests and technical names: an object.
    package var data: JSONValue
    /// What people wrote and models said; `null` when the piece has none, or has them no more.
    package var texts: JSONValue?

    /// A piece from its parts.
    package init(name: EvidenceName, data: JSONValue, texts: JSONValue? = nil) {
        self.name = name
        self.data = data
        self.texts = texts
    }

    /// Why the piece cannot be kept, in words; `nil` if it can.
    package var fault: String? {
        let size = data.serialized().count
        let textSize = texts?.serialized().count ?? 0
        guard (1...64).contains(name.rawValue.utf8.count) else { return "its name has no 1 to 64 bytes" }
        guard data.objectValue != nil else { return "its data are \(data.kindName), not an object" }
        guard size <= Self.mostData else { return "its data have \(size) bytes, more than \(Self.mostData)" }
        guard textSize <= Self.mostTexts else {
            return "its texts have \(textSize) bytes, more than \(Self.mostTexts)"
        }
        return nil
    }
}
