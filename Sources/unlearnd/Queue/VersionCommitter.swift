// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import GRDB
import Protocol

/// Turns a worker's durable result into a version: gate, version, head, job, events and audit in one transaction.
enum VersionCommitter {
    /// What is committed.
    struct Proposal: Sendable {
        var manifest: Digest
        var digest: Digest
        var bytes: Int64
        var verdict: GateVerdict?
        var result: WorkerResult
    }

    /// Holds a worker's result against the store and the gate.
    /// - Throws: ``JobFailure`` when the result is not what the worker says.
    static func propose(_ claim: Claim, _ result: WorkerResult, store: ObjectStore) throws -> Proposal {
        guard let id = result.manifest, let digest = result.digest else {
            throw JobFailure(
                .internal, "the worker finished a \(claim.spec.kind.rawValue) job without a version")
        }
        let manifest: Manifest
        do {
            manifest = try store.manifest(id)
        } catch {
            throw JobFailure(
                .integrity, "the result's manifest cannot be read: \(error)",
                hint: "unlearnctl store verify, then retry")
        }
        guard manifest.versionDigest == digest else {
            throw JobFailure(
                .integrity,
                "the result's manifest has digest \(manifest.versionDigest.short), not \(digest.short)")
        }
        if claim.spec.kind.editsVersion, digest == claim.order.base?.digest {
            throw JobFailure(
                .noOp, "the result is byte for byte the base version",
                hint: "raise the learning rate, scale or epochs")
        }
        var verdict: GateVerdict?
        if let text = claim.spec.gate {
            guard let after = result.evaluation?.after else {
                throw JobFailure(
                    .internal, "the gate cannot be judged: the worker did not measure the result")
            }
            do {
                verdict = try Gate.parse(text).judge(
                    before: result.evaluation?.before, after: after, reference: result.evaluation?.reference,
                    earlier: result.evaluation?.earlier ?? [])
            } catch {
                throw JobFailure(.internal, "the stored gate does not parse: \(error)")
            }
        }
        return Proposal(
            manifest: id, digest: digest, bytes: Int64(manifest.size), verdict: verdict, result: result)
    }

    /// The transaction. Needs the state `committing`.
    /// - Returns: False when somebody ended the job before; nothing is changed then.
    /// - Throws: ``JobFailure`` of kind `gone` for bytes that were purged.
    static func commit(_ claim: Claim, _ proposal: Proposal, in change: Change) throws -> Bool {
        let job = try JobRow.require(claim.id, change.db)
        guard let model = claim.model, job.state == .committing, job.epoch == claim.epoch else {
            return false
        }
        try Tombstone.refuse(version: proposal.digest, change.db)
        if try ModelRow.find(model, change.db) == nil { try ModelRow.insert(model, in: change) }
        let row = try ModelRow.require(model, change.db)
        let last =
            try Int.fetchOne(
                change.db, cached: "SELECT max(n) FROM version WHERE model = ?", arguments: [model.text]) ?? 0
        guard let number = VersionNumber(last + 1) else {
            throw UnreadableColumn(table: "version", column: "n")
        }
        let headReason: String? =
            proposal.verdict?.passed == false
            ? "gate-refused"
            // A family has one base: the first of its jobs to end must not pull it from under the others.
            : claim.spec.sweep != nil ? "sweep" : row.head != claim.head ? "base-not-head" : nil
        try VersionRow(
            model: model, number: number, parent: proposal.result.parent ?? claim.parent,
            manifest: proposal.manifest,
            digest: proposal.digest,
            bytes: proposal.bytes, storedBytes: proposal.result.storedBytes ?? 0,
            architecture: try architecture(proposal, claim, model, change.db), job: claim.id,
            candidate: headReason != nil, created: change.now, note: claim.spec.note
        ).insert(in: change)
        if let verdict = proposal.verdict {
            try change.record(.gate, job: claim.id, model: model, try JSONValue(encoding: verdict))
        }
        try change.record(
            .version, job: claim.id, model: model,
            [
                "version": .string(number.description), "digest": .string(proposal.digest.hex),
                "candidate": .bool(headReason != nil),
            ])
        try change.audit(
            "version.commit", actor: claim.submitter,
            [
                "job": .integer(Int64(claim.id)), "kind": .string(claim.spec.kind.rawValue),
                "model": .string(model.text),
                "base": claim.base.map { .string($0.description) } ?? .null,
                "version": .string(number.description),
                "digest": .string(proposal.digest.hex), "manifest": .string(proposal.manifest.hex),
                "gate": proposal.verdict.map { .bool($0.passed) } ?? .null,
                "head_reason": headReason.map { .string($0) } ?? .null,
            ])
        if headReason == nil {
            let move = try ModelRow.moveHead(
                model, from: claim.head, to: number, who: claim.submitter, why: why(claim.id),
                job: claim.id,
                in: change)
            // The head was read in this very transaction.
            guard move != nil else {
                throw DatabaseError(resultCode: .SQLITE_ABORT, message: "the head moved meanwhile")
            }
        }
        // Last, so that whoever sees the job's end finds everything else in the log before it.
        guard try JobRow.apply(.commit, to: claim.id, epoch: claim.epoch, in: change) else {
            throw DatabaseError(resultCode: .SQLITE_ABORT, message: "the job was ended meanwhile")
        }
        try change.db.execute(
            cached:
                "UPDATE job SET version = ?, digest = ?, head_moved = ?, head_reason = ?, gate = ? WHERE id = ?",
            arguments: [
                number.number, proposal.digest.hex, headReason == nil, headReason,
                try JSONColumn.text(proposal.verdict),
                claim.id,
            ])
        try JobEnd.store(proposal.result, of: claim.id, in: change)
        FailPoint.insideCommit.reach()
        return true
    }

    /// Why a job's commit moves a head, as the move records it.
    static func why(_ job: JobID) -> String { "job \(job)" }

    private static func architecture(
        _ proposal: Proposal, _ claim: Claim, _ model: ModelName, _ db: Database
    ) throws -> String? {
        if let named = proposal.result.architecture { return named }
        return try claim.base.flatMap { try VersionRow.find(model, $0, db)?.architecture }
    }
}
