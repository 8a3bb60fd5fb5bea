// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// Fixes which versions a job works on, at the moment when it starts, and pins them.
enum VersionBinder {
    /// What a job starts from.
    struct Bound {
        /// The version named, or the head.
        var base: VersionNumber?
        /// The version that must still be head for the result to follow it.
        var head: VersionNumber?
        /// The version of the model that the result comes from.
        var parent: VersionNumber?

        init(_ base: VersionNumber?) { (self.base, head, parent) = (base, base, base) }
    }

    /// Fills the order's bindings and returns what it starts from.
    ///
    /// - Parameter stopped: The base of a job that goes on from where it was stopped.
    /// - Throws: ``JobFailure`` when a version is no longer there, or a name is taken.
    static func bind(
        _ spec: JobSpec, job: JobID, bound stopped: VersionNumber?, _ order: inout WorkerOrder,
        in change: Change
    ) throws -> Bound {
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
        var bound = Bound(nil)
        switch spec.kind {
        case .verify:
            order.manifests = try VersionRow.liveManifests(change.db)
            order.after = try VerificationRecord.read(change.db).start(of: spec.parameters)
        // What is to be copied is what the copy of the database says.
        case .backup: break
        case .restore:
            order.manifests = try VersionRow.liveManifests(change.db)
            order.datasets = try StoredDataset.all(change.db).map(\.id)
        case .optimize:
            let plan = try DifferencePlan(now: change.now, change.db)
            order.manifests = plan.inFull
            order.pairs = plan.pairs
            pinned += plan.versions
        case .create:
            if let model = spec.model?.model, try ModelRow.isInUse(model, change.db) {
                throw JobFailure(
                    JobFailure.Kind(rawValue: "conflict"), "model \(model) exists by now",
                    hint: "choose another name")
            }
        case .import:
            bound = Bound(try spec.model.flatMap { try ModelRow.find($0.model, change.db)?.head })
        case .retrain:
            let row = try version(spec.parameters?.from ?? spec.model)
            order.base = row?.binding
            bound = Bound(row?.model == spec.model?.model ? row?.number : nil)
            bound.head = try spec.model.flatMap { try ModelRow.find($0.model, change.db)?.head }
            if spec.parameters?.fresh == true { bound.parent = nil }
        default:
            let row = try version(
                stopped.flatMap { number in
                    spec.model.map { VersionReference(model: $0.model, version: number) }
                } ?? spec.model)
            order.base = row?.binding
            bound = Bound(row?.number)
            if let row, spec.kind == .exact {
                let lineage = try Lineage.of(row, change.db)
                order.lineage = lineage
                for binding in lineage.flatMap({ [$0.made, $0.form].compactMap(\.self) }) {
                    if let row = try VersionRow.find(binding.model, binding.version, change.db) {
                        pinned.append(row)
                    }
                }
            }
        }
        order.reference = try version(spec.reference)?.binding
        order.finetuned = try version(spec.parameters?.finetuned)?.binding
        order.other = try version(spec.parameters?.base ?? spec.parameters?.other)?.binding
        if spec.kind.editsVersion, spec.evaluate != false, let model = spec.model?.model {
            let head = try ModelRow.find(model, change.db)?.head
            let starts = Set([head, bound.base].compactMap(\.self)).sorted()
            let earlier = try EarlierRequests.behind(
                starts.compactMap { try VersionRow.find(model, $0, change.db) }, now: change.now, change.db)
            order.earlier = earlier.isEmpty ? nil : earlier
        }
        for row in pinned {
            try change.db.execute(
                cached: "INSERT INTO pin(job, model, n) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                arguments: [job, row.model.text, row.number.number])
        }
        return bound
    }
}
