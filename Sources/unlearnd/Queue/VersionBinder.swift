// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// Fixes which versions a job works on, at the moment when it starts, and pins them.
enum VersionBinder {
    /// Fills the order's bindings and returns the base's number.
    ///
    /// - Parameter bound: The base of a job that goes on from where it was stopped.
    /// - Throws: ``JobFailure`` when a version is no longer there, or a name is taken.
    static func bind(
        _ spec: JobSpec, job: JobID, bound: VersionNumber?, _ order: inout WorkerOrder, in change: Change
    ) throws -> VersionNumber? {
        var pinned: [VersionRow] = []
        func version(_ reference: VersionReference?) throws -> VersionRow? {
            guard let reference else { return nil }
            do {
                let row = try VersionRow.resolve(reference, change.db)
                pinned.append(row)
                return row
            } catch let error as RPCError {
                throw JobFailure(.missing, error.message, hint: error.hint)
            }
        }
        var base: VersionNumber?
        switch spec.kind {
        case .verify: order.manifests = try VersionRow.liveManifests(change.db)
        case .create:
            if let model = spec.model?.model, try ModelRow.find(model, change.db) != nil {
                throw JobFailure(
                    JobFailure.Kind(rawValue: "conflict"), "model \(model) exists by now",
                    hint: "choose another name")
            }
        case .import:
            base = try spec.model.flatMap { try ModelRow.find($0.model, change.db)?.head }
        default:
            let row = try version(
                bound.flatMap { number in
                    spec.model.map { VersionReference(model: $0.model, version: number) }
                } ?? spec.model)
            order.base = row?.binding
            base = row?.number
        }
        order.reference = try version(spec.reference)?.binding
        order.finetuned = try version(spec.parameters?.finetuned)?.binding
        order.other = try version(spec.parameters?.base ?? spec.parameters?.other)?.binding
        for row in pinned {
            try change.db.execute(
                sql: "INSERT INTO pin(job, model, n) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                arguments: [job, row.model.text, row.number.number])
        }
        return base
    }
}
