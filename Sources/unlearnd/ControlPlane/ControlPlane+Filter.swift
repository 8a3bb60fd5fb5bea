// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Foundation
import GRDB
import Protocol

extension ControlPlane {
    /// `model.filter`: the hashed n-grams of the forget sets of the unlearning jobs behind a version.
    ///
    /// - Throws: `invalid_params`, `not_found`, `gone`, `conflict` when nothing in the version's line was unlearned.
    package func filter(_ params: ModelFilterParams, peer: Peer) async throws(RPCError) -> ModelFilter {
        let n = params.n ?? ModelFilterParams.standardN
        let minimum = params.minimum ?? min(n, ModelFilterParams.standardMinimum)
        guard (2...32).contains(n), (1...n).contains(minimum) else {
            throw RPCError(
                .invalidParams, "n lies between 2 and 32 and minimum between 1 and n", field: "n")
        }
        let salt = params.salt ?? RandomToken.make()
        guard let bytes = Self.salt(salt) else {
            throw RPCError(
                .invalidParams, "a salt has 32 lower-case hexadecimal digits", hint: "leave it out",
                field: "salt")
        }
        let offset = params.offset ?? 0
        return try await answering {
            let (version, jobs) = try await database.read { db in
                let version = try VersionRow.resolve(params.version, db)
                return (version, try Self.unlearning(behind: version, db))
            }
            guard !jobs.isEmpty else {
                throw RPCError(
                    .conflict, "nothing was unlearned on the way to \(version.model)@\(version.number)",
                    hint: "name a version that an unlearning job made")
            }
            let sets = Set(jobs.compactMap(\.spec.forget)).sorted()
            let known = try await database.read { db in
                try Set(sets.filter { try StoredDataset.find($0, db) != nil })
            }
            let (filter, hashes) = try await offloading { [store] in
                var filter = OutputFilter(n: n, minimum: minimum, salt: bytes)
                for set in sets where known.contains(set) {
                    filter.add(try DatasetParser.parse(try store.readDataset(set), name: set.short))
                }
                return (filter, filter.sorted)
            }
            guard (0...hashes.count).contains(offset) else {
                throw RPCError(.invalidParams, "there are \(hashes.count) hashes", field: "offset")
            }
            let end = min(hashes.count, offset + ModelFilterParams.page)
            if offset == 0 {
                try await database.change {
                    try $0.audit(
                        "model.filter", actor: peer.actor,
                        [
                            "model": .string(version.model.text),
                            "version": .string(version.number.description),
                            "hashes": .integer(Int64(hashes.count)),
                        ])
                }
            }
            let packed = hashes[offset..<end].flatMap { hash in
                stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: hash >> UInt64($0)) }
            }
            return ModelFilter(
                model: VersionReference(model: version.model, version: version.number),
                digest: version.digest, jobs: jobs.map(\.id), datasets: sets.filter(known.contains),
                missing: sets.filter { !known.contains($0) }, n: n, minimum: minimum, salt: salt,
                rows: filter.rows, skipped: filter.skipped, count: hashes.count,
                hashes: Data(packed).base64EncodedString(), next: end < hashes.count ? end : nil)
        }
    }

    private static func salt(_ text: String) -> [UInt8]? {
        // Twice 16 bytes make a digest, whose reader is at hand.
        Digest(hex: text + text).map { Array($0.bytes.prefix(16)) }
    }

    /// The unlearning jobs with a forget set that made the versions from the line's beginning to `version`, oldest
    /// first.
    static func unlearning(behind version: VersionRow, _ db: Database) throws -> [Job] {
        let jobs = try JobRow.unlearning(of: version.model, db)
        guard !jobs.isEmpty else { return [] }
        return try VersionLine.behind(version.number, of: version.model, db).reversed().compactMap { link in
            link.job.flatMap { jobs[$0] }
        }
    }

    /// Which datasets have rows of the forget sets of the unlearning jobs in a model's line, by job.
    func shares(ofRequestsTo name: ModelName) async throws -> [JobID: [Digest: SharedRows.Share]] {
        try await sharedRows.shares(ofRequestsTo: name, database)
    }

    /// What the newest unlearning jobs in the head's line were asked to forget, oldest first, and which versions still
    /// know it; and before which version's job the older ones are found.
    ///
    /// - Parameter before: Only jobs that made older versions.
    static func requests(
        of model: ModelRow, before: VersionNumber? = nil, limit: Int? = nil,
        _ shares: [JobID: [Digest: SharedRows.Share]], _ db: Database
    ) throws -> (requests: [UnlearnedRequest], next: VersionNumber?) {
        guard let head = try model.head.flatMap({ try VersionRow.find(model.name, $0, db) }) else {
            return ([], nil)
        }
        let jobs = try unlearning(behind: head, db).filter { job in
            guard let before else { return true }
            return job.version.map { $0 < before } ?? false
        }
        guard !jobs.isEmpty else { return ([], nil) }
        let versions = try KnowingVersions(db)
        var budget = PageBudget(limit: limit)
        var requests: [UnlearnedRequest] = []
        for job in jobs.reversed() {
            guard let forget = job.spec.forget, let version = job.version else { continue }
            // A purge left none, and took the rows that would tell what was trained on them.
            let found =
                try PurgeRow.all(of: job.id, db).isEmpty
                ? versions.knowing(job, shares[job.id] ?? [:]).map(\.row).filter { !$0.isGone } : []
            let size = found.reduce(300) { $0 + ($1.model == model.name ? 24 : 160) }
            guard budget.takes(size) else { return (requests.reversed(), requests.last?.version) }
            requests.append(
                UnlearnedRequest(
                    job: job.id, forget: forget, version: version,
                    knownBy: found.filter { $0.model == model.name }.map(\.number),
                    knownElsewhere: found.filter { $0.model != model.name }.map(\.reference)))
        }
        return (requests.reversed(), nil)
    }
}
