// SPDX-License-Identifier: Apache-2.0

import GRDB
import Logging
import Protocol

extension ControlPlane {
    /// `model.publish`: from now on a target shows the model's head, and follows it.
    ///
    /// Asked again, it brings a target that fell behind up to the head.
    /// - Throws: `not_found` for a model without a head or a target that the configuration does not name, `conflict` for
    ///   a target that shows another model.
    package func publish(_ params: PublishParams, peer: Peer) async throws(RPCError) -> PublishResult {
        let targets = configuration.publishTargets
        guard targets[params.target] != nil else {
            let near = ClosestName.suggest(for: params.target, among: targets.keys.sorted())
            throw RPCError(
                .notFound,
                "the daemon's configuration has no publish target \(params.target.debugDescription)",
                hint: near.map { "did you mean \($0)?" } ?? "an administrator names it under publish_targets",
                field: "target")
        }
        return try await answering {
            let result = try await database.change { change in
                _ = try VersionRow.resolve(VersionReference(model: params.model), change.db)
                if let row = try PublicationRow.find(params.target, change.db) {
                    guard row.model == params.model, !row.isEnding else {
                        throw RPCError(
                            .conflict,
                            row.isEnding
                                ? "\(params.target) is being given up"
                                : "\(params.target) shows \(row.model)",
                            hint: "first: unlearnctl model publish \(row.model) \(params.target) --off")
                    }
                } else {
                    try PublicationRow.insert(params.target, params.model, who: peer.actor, in: change)
                    try change.audit("model.publish", actor: peer.actor, Self.named(params))
                }
                guard let row = try PublicationRow.find(params.target, change.db) else {
                    throw RPCError(.internal, "the publication cannot be read back")
                }
                let job = try row.request(who: peer.actor, in: change)
                guard
                    let publication = try Self.publications(of: params.model, targets, change.db).first(
                        where: {
                            $0.target == params.target
                        })
                else { throw RPCError(.internal, "the publication cannot be read back") }
                return PublishResult(publication: publication, job: try JobRow.require(job, change.db).job)
            }
            await scheduler.wake()
            return result
        }
    }

    /// `model.unpublish`: the target no longer follows the model; its link and its copies are removed.
    ///
    /// - Throws: `not_found`, `conflict` while a job publishes there.
    package func unpublish(_ params: PublishParams, peer: Peer) async throws(RPCError) -> UnpublishResult {
        try await answering {
            try await database.change { change in
                guard let row = try PublicationRow.find(params.target, change.db), row.model == params.model
                else {
                    throw RPCError(
                        .notFound, "\(params.model) is not published to \(params.target)",
                        hint: "unlearnctl model show \(params.model) lists where it is")
                }
                if let job = row.job, let last = try JobRow.find(job, change.db)?.job {
                    guard !last.state.isActive else {
                        throw RPCError(
                            .conflict, "job \(job) publishes to \(params.target)",
                            hint: "wait for it, or: unlearnctl cancel \(job)")
                    }
                    _ = try JobRow.apply(.drop, to: job, reason: "unpublished", in: change)
                }
                if !row.isEnding {
                    try PublicationRow.end(row.target, in: change)
                    try change.audit("model.unpublish", actor: peer.actor, Self.named(params))
                }
            }
            FailPoint.insideUnpublish.reach()
            return try await end(params)
        }
    }

    /// Removes what is left of a publication that is given up, and then the publication.
    private func end(_ params: PublishParams) async throws -> UnpublishResult {
        let copies = try await database.read { try PublicationCopyRow.all(at: params.target, $0) }
        var result = UnpublishResult(model: params.model, target: params.target, removed: [], left: [])
        if configuration.publishTargets[params.target] == nil {
            // The daemon writes only where the configuration says.
            result.left = copies.map { "\($0.name): the configuration does not name the target any more" }
        } else {
            do {
                result.removed = try await publisher.remove(copies, from: params.target)
                try await publisher.release(params.target)
            } catch let failure as JobFailure {
                throw RPCError(.conflict, failure.message, hint: failure.hint)
            }
        }
        try await database.change { try PublicationRow.delete(params.target, in: $0) }
        return result
    }

    /// The targets that follow a model, as they stand.
    static func publications(of model: ModelName, _ targets: [String: PublishTarget], _ db: Database) throws
        -> [Publication]
    {
        let head = try ModelRow.find(model, db)?.head
        return try PublicationRow.all(of: model, db).map { row in
            let job = try row.job.flatMap { try JobRow.find($0, db)?.job }
            var (state, why) = (PublicationState.current, row.hookFault)
            if row.isEnding || targets[row.target] == nil {
                state = .failing
                why =
                    row.isEnding
                    ? "it is being given up" : "the configuration does not name the target any more"
            } else if row.version != head || row.version == nil {
                let isUnderWay = job.map { !$0.state.isTerminal } ?? false
                state = isUnderWay ? .behind : .failing
                why =
                    isUnderWay
                    ? nil : job?.error?.message ?? job.map { "job \($0.id) ended \($0.state.rawValue)" }
            }
            return Publication(
                target: row.target, model: model, directory: targets[row.target]?.directory,
                version: row.version,
                digest: row.digest, switched: row.switched, state: state, why: why, job: row.job)
        }
    }

    /// Compares what targets show with the heads, and queues jobs for those that differ.
    func repairPublications() async {
        do {
            for row in try await database.read(PublicationRow.all) {
                if row.isEnding {
                    do {
                        _ = try await end(PublishParams(model: row.model, target: row.target))
                    } catch {
                        logger.warning("the publish target \(row.target) cannot be given up yet: \(error)")
                    }
                    continue
                }
                var shown: VersionNumber?
                do { shown = try await publisher.repair(row) } catch {
                    logger.warning("the publish target \(row.target): \(error)")
                }
                let found = shown
                try await database.change { change in
                    let head = try ModelRow.find(row.model, change.db)?.head
                    guard let head, found != head || row.version != head else { return }
                    let job = try row.job.flatMap { try JobRow.find($0, change.db) }
                    if job?.state.isTerminal ?? true { try row.request(who: -1, in: change) }
                }
            }
        } catch {
            logger.error("publish targets were not looked at: \(error)")
        }
    }

    /// Removes the copies of purged versions from their targets.
    /// - Returns: Whether all are gone.
    func removePublications(_ result: inout PurgeResult) async -> Bool {
        let versions = Set(result.versions.map(\.version))
        var isWhole = true
        do {
            let copies = try await database.read { try PublicationCopyRow.all($0) }
                .filter { versions.contains($0.reference) }
            for (target, copies) in Dictionary(grouping: copies, by: \.target) {
                do {
                    _ = try await publisher.remove(copies, from: target)
                } catch {
                    isWhole = false
                    logger.error("copies of purged versions in the publish target \(target) stay: \(error)")
                }
            }
            let left = try await database.read { try PublicationCopyRow.all($0) }
            for index in (result.publications ?? []).indices {
                guard let copy = result.publications?[index] else { continue }
                result.publications?[index].removed = !left.contains {
                    $0.target == copy.target && $0.name == copy.name
                }
            }
        } catch {
            isWhole = false
            logger.error("copies of purged versions were not looked for: \(error)")
        }
        return isWhole
    }

    private static func named(_ params: PublishParams) -> JSONValue {
        ["model": .string(params.model.text), "target": .string(params.target)]
    }
}
