// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import enum Crypto.Curve25519
import Foundation
import GRDB
import Protocol

extension ControlPlane {
    /// `audit.key`: the public key of the certificates; made when first asked for.
    package func auditKey() async throws(RPCError) -> AuditKey {
        try await answering { AuditKey(publicKey: try await Self.publicKey(signingKey())) }
    }

    /// `audit.certificate`: a signed document on what an unlearning job did, without texts and without anything that
    /// names the forget set.
    ///
    /// - Throws: `not_found`, `conflict` for a job that has not succeeded or has unlearned nothing.
    package func certificate(_ params: CertificateParams, peer: Peer) async throws(RPCError)
        -> CertificateResult
    {
        try await answering {
            let key = try await signingKey()
            let publicKey = try Self.publicKey(key)
            let fresh = try Self.salt()
            let (certificate, salt) = try await database.change { change in
                let job = try JobRow.require(params.job, change.db).job
                guard job.state == .succeeded, job.kind.unlearns, job.version != nil else {
                    throw RPCError(
                        .conflict, "job \(job.id) has unlearned nothing that a certificate could be of",
                        hint: "name an unlearning job that succeeded")
                }
                let salt = try Self.salt(of: job.id, fresh, in: change)
                try change.audit(
                    "audit.certificate", actor: peer.actor,
                    ["job": .integer(Int64(job.id)), "key": .string(publicKey.hex)])
                return (try Self.certificate(job, salt: salt, change), salt)
            }
            var document = JSONObject()
            document["certificate"] = certificate
            document["key"] = ["algorithm": "Ed25519", "public_key": .string(publicKey.hex)]
            let signature = try key.signature(for: CertificateForm.signed(document))
            document["signature"] = .string(signature.map { Self.hex($0) }.joined())
            return CertificateResult(document: .object(document), salt: salt)
        }
    }

    private func signingKey() async throws -> Curve25519.Signing.PrivateKey {
        let path = directory.path
        return try await offloading { try SigningKey.load(path) }
    }

    private static func publicKey(_ key: Curve25519.Signing.PrivateKey) throws -> Protocol.Digest {
        // A digest is 32 bytes in 64 digits, and so is this key.
        guard let bytes = Digest(bytes: Array(key.publicKey.rawRepresentation)) else {
            throw RPCError(.internal, "the public key has no 32 bytes")
        }
        return bytes
    }

    private static func hex(_ byte: UInt8) -> String {
        (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }

    private static func salt() throws -> Protocol.Digest {
        let token = RandomToken.make() + RandomToken.make()
        guard let salt = Digest(hex: token) else { throw RPCError(.internal, "no salt can be made") }
        return salt
    }

    /// A job's salt: one for all its certificates, so that their commitments are the same.
    private static func salt(of job: JobID, _ fresh: Protocol.Digest, in change: Change) throws
        -> Protocol.Digest
    {
        try change.db.execute(
            sql: "INSERT INTO commitment(job, salt) VALUES (?, ?) ON CONFLICT DO NOTHING",
            arguments: [job, fresh.hex])
        let row = try Row.fetchOne(
            change.db, sql: "SELECT salt FROM commitment WHERE job = ?", arguments: [job])
        guard let salt = try row?.named("commitment", "salt", Digest.init(hex:)) else {
            throw UnreadableColumn(table: "commitment", column: "salt")
        }
        return salt
    }

    private static func certificate(_ job: Job, salt: Protocol.Digest, _ change: Change) throws -> JSONValue {
        let db = change.db
        let base = try job.model.flatMap { model in
            try job.base.flatMap { try VersionRow.find(model, $0, db) }
        }
        let spec = try JSONValue(encoding: job.spec)
        var parameters = PurgedText.scrubbed(spec["parameters"] ?? .null)
        if parameters.isNull { parameters = .object(JSONObject()) }
        var body = JSONObject()
        body["schema"] = 1
        body["issued"] = .string(change.now.description)
        body["software"] = .string(Software.version)
        // What people wrote about the request is no part of it: certificates are handed out.
        body["request"] = [
            "job": .integer(Int64(job.id)), "kind": .string(job.kind.rawValue),
            "need": spec["need"] ?? .null, "submitted": .string(job.created.description),
            "finished": job.finished.map { .string($0.description) } ?? .null,
        ]
        body["model"] = job.model.map { .string($0.text) } ?? .null
        body["base"] = [
            "version": job.base.map { .string($0.description) } ?? .null,
            "digest": base.map { .string($0.digest.hex) } ?? .null,
        ]
        body["result"] = [
            "version": job.version.map { .string($0.description) } ?? .null,
            "digest": job.digest.map { .string($0.hex) } ?? .null,
            "head_moved": job.headMoved.map { .bool($0) } ?? .null,
            "head_reason": job.headReason.map { .string($0) } ?? .null,
        ]
        body["method"] = [
            "name": .string(job.kind.rawValue), "parameters": parameters, "seed": spec["seed"] ?? .null,
        ]
        body["forget_set"] =
            try job.spec.forget.map { forget in
                let rows = try StoredDataset.find(forget, db)?.rows
                return [
                    "commitment": .string(
                        ContentHash.of(CertificateForm.commitment(salt: salt, forget: forget)).hex),
                    "rows": rows.map { .integer(Int64($0)) } ?? .null,
                ]
            } ?? .null
        body["evaluation"] = try job.evaluation.map { try evaluation($0) } ?? .null
        body["gate"] = try job.gate.map { try JSONValue(encoding: $0) } ?? .null
        body["purges"] = .array(try PurgeRow.all(of: job.id, db).map(purge))
        let head = try AuditTrail.rows(since: nil, limit: 1, db).last
        body["audit"] = [
            "row": head.map { .integer($0.seq) } ?? .null, "hash": head.map { .string($0.hash.hex) } ?? .null,
        ]
        return .object(body)
    }

    /// The figures, without the digests and notes of the sets that were measured.
    private static func evaluation(_ report: EvaluationReport) throws -> JSONValue {
        guard var value = try JSONValue(encoding: report).objectValue else { return .null }
        value["earlier"] = nil
        return PurgedText.scrubbed(.object(value))
    }

    private static func purge(_ result: PurgeResult) throws -> JSONValue {
        guard var value = try JSONValue(encoding: result).objectValue else { return .null }
        for key in ["job", "dry_run", "obstacles", "jobs"] { value[key] = nil }
        // Their digests would name the forget set to whoever guesses its text.
        value["datasets"] = .integer(Int64(result.datasets.count))
        return .object(value)
    }
}
