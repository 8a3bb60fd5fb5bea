// SPDX-License-Identifier: Apache-2.0

import Client
import Protocol
import enum Crypto.Curve25519
import struct Crypto.SHA256

/// A certificate as a file, checked without a daemon.
struct CertificateFile {
    /// What was signed about: the document's `certificate`.
    let certificate: JSONValue
    /// The key in the document.
    let publicKey: Protocol.Digest

    /// Reads a certificate and checks its form and its signature.
    ///
    /// - Parameter key: The key that it must be signed with; `nil` takes the document's word for it.
    /// - Throws: ``ClientError`` with status 65 that says what is wrong.
    init(_ bytes: [UInt8], key: Protocol.Digest?) throws(ClientError) {
        let value: JSONValue
        do { value = try StrictJSON.parse(bytes) } catch {
            throw Self.wrong("is not strict JSON: \(error)")
        }
        guard let document = value.objectValue, Set(document.keys) == ["certificate", "key", "signature"],
            let certificate = document["certificate"], certificate.objectValue != nil
        else { throw Self.wrong("has not just the members certificate, key and signature") }
        guard CertificateForm.file(value) == bytes else {
            throw Self.wrong("is not written in the canonical form: bytes were added, removed or reordered")
        }
        guard certificate["schema"]?.integerValue == 1 else {
            throw Self.wrong("has a schema that this version does not know")
        }
        guard document["key"]?["algorithm"] == "Ed25519", document["key"]?.objectValue?.count == 2,
            let named = document["key"]?["public_key"]?.stringValue.flatMap({ Digest(hex: $0) })
        else { throw Self.wrong("names no Ed25519 key of 64 hexadecimal digits") }
        if let key, key != named {
            throw Self.wrong("was signed with another key, \(named.short)…, not with \(key.short)…")
        }
        guard let text = document["signature"]?.stringValue, text.utf8.count == 128,
            let first = Digest(hex: String(text.prefix(64))),
            let second = Digest(hex: String(text.suffix(64)))
        else { throw Self.wrong("has no signature of 128 hexadecimal digits") }
        let isSigned =
            (try? Curve25519.Signing.PublicKey(rawRepresentation: named.bytes))?.isValidSignature(
                first.bytes + second.bytes, for: CertificateForm.signed(document)) == true
        guard isSigned else {
            throw Self.wrong("does not carry the signature of its content: something in it was changed")
        }
        self.certificate = certificate
        publicKey = named
    }

    /// Holds a forget set against the commitment.
    /// - Throws: ``ClientError`` with status 65 if it is another.
    func check(forget: [UInt8], salt: Protocol.Digest) throws(ClientError) {
        guard let digest = Digest(bytes: Array(SHA256.hash(data: forget))) else { return }
        let commitment = SHA256.hash(data: CertificateForm.commitment(salt: salt, forget: digest))
        guard let commitment = Digest(bytes: Array(commitment)),
            certificate["forget_set"]?["commitment"]?.stringValue == commitment.hex
        else {
            throw ClientError(
                .badInput, "the certificate is about another forget set",
                hint: "give the very bytes that were submitted, and the salt that came with the certificate")
        }
    }

    /// A public key from a file: 64 hexadecimal digits, or what `audit key --json` writes.
    static func key(_ text: String, _ path: String) throws(ClientError) -> Protocol.Digest {
        let word = text.split(whereSeparator: \.isWhitespace).first.map(String.init) ?? ""
        let named = (try? StrictJSON.parse(text))?["public_key"]?.stringValue
        guard let key = Digest(hex: named ?? word) else {
            throw ClientError(
                .badInput, "\(path) has no public key of 64 hexadecimal digits",
                hint: "unlearnctl audit key writes it")
        }
        return key
    }

    private static func wrong(_ rule: String) -> ClientError {
        ClientError(.badInput, "the certificate \(rule)", hint: "ask its issuer for an unchanged copy")
    }
}
