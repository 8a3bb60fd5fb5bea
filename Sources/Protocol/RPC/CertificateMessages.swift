// SPDX-License-Identifier: Apache-2.0

/// `audit.certificate`: a signed document on one unlearning job.
package struct CertificateParams: Codable, Hashable, Sendable {
    package var job: JobID
    /// A wish.
    package init(job: JobID) { self.job = job }
}

/// A certificate, and what opens its commitment.
package struct CertificateResult: Codable, Hashable, Sendable {
    /// The document: `certificate`, `key`, `signature`.
    package var document: JSONValue
    /// 64 hexadecimal digits. Whoever has them and the forget set can hold it against the commitment.
    package var salt: Digest
    /// A certificate.
    package init(document: JSONValue, salt: Digest) {
        self.document = document
        self.salt = salt
    }
}

/// `audit.key`: what certificates are checked with.
package struct AuditKey: Codable, Hashable, Sendable {
    /// Always `Ed25519`.
    package var algorithm: String
    /// The public key's 32 bytes in hexadecimal digits.
    package var publicKey: Digest
    /// A key.
    package init(publicKey: Digest) {
        algorithm = "Ed25519"
        self.publicKey = publicKey
    }
    enum CodingKeys: String, CodingKey {
        case algorithm
        case publicKey = "public_key"
    }
}

/// What of a certificate is signed and how it is written.
package enum CertificateForm {
    /// Stands before the signed bytes, so that no other signature of the key can be taken for one of a certificate.
    package static let domain = "unlearnd certificate 1\n"

    /// The bytes that are signed: the domain and the canonical JSON of the document without its `signature`.
    package static func signed(_ document: JSONObject) -> [UInt8] {
        var rest = document
        rest["signature"] = nil
        return Array(domain.utf8) + JSONValue.object(rest).serialized(sortedKeys: true)
    }

    /// The one way in which a certificate is written as a file: canonical JSON and a line feed.
    package static func file(_ document: JSONValue) -> [UInt8] {
        document.serialized(sortedKeys: true) + [0x0A]
    }

    /// What the commitment to a forget set is the SHA-256 of: a name, the salt's 32 bytes, the 32 bytes of the SHA-256
    /// of the set's text.
    package static func commitment(salt: Digest, forget: Digest) -> [UInt8] {
        Array("unlearnd forget set 1\n".utf8) + salt.bytes + forget.bytes
    }
}
