// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// Which recorded jobs a version comes from.
enum Lineage {
    /// The version's ancestry, oldest first: back to what was imported, created or begun anew.
    ///
    /// - Throws: ``JobFailure`` where how a version was made is not recorded.
    static func of(_ version: VersionRow, _ db: Database) throws -> [LineageStep] {
        var steps: [LineageStep] = []
        var next: VersionRow? = version
        while let row = next {
            guard let id = row.job, let job = try JobRow.find(id, db)?.job else { throw unrecorded(row) }
            var step = LineageStep(
                job: id, spec: job.spec, model: row.model, version: row.number,
                made: row.isGone ? nil : row.binding)
            next = nil
            switch job.kind {
            case .import, .create: break
            case .retrain:
                guard let from = try named("from", in: job, db) else { throw unrecorded(row) }
                if job.spec.parameters?.fresh == true {
                    step.form = from.isGone ? nil : from.binding
                } else {
                    next = from
                }
            case .exact:
                guard let number = job.base, let base = try VersionRow.find(row.model, number, db),
                    let forget = job.spec.forget
                else { throw unrecorded(row) }
                return try repeated(of(base, db), as: row, from: named("start", in: job, db), without: forget)
                    + steps.reversed()
            default:
                guard let parent = row.parent, let origin = try VersionRow.find(row.model, parent, db) else {
                    throw unrecorded(row)
                }
                next = origin
            }
            steps.append(step)
        }
        return steps.reversed()
    }

    /// The steps of an exact version: those of its base, without the rows. Of what was made behind its start only the
    /// last is there.
    private static func repeated(
        _ steps: [LineageStep], as row: VersionRow, from start: VersionRow?, without forget: Digest
    ) -> [LineageStep] {
        var steps = steps
        let kept = steps.firstIndex { $0.model == start?.model && $0.version == start?.number } ?? -1
        for index in steps.indices {
            steps[index].excluding.append(forget)
            if index > kept { steps[index].made = nil }
        }
        if let last = steps.indices.last {
            (steps[last].model, steps[last].version) = (row.model, row.number)
            steps[last].made = row.isGone ? nil : row.binding
        }
        return steps
    }

    /// A version that the job's result names.
    private static func named(_ member: String, in job: Job, _ db: Database) throws -> VersionRow? {
        guard let text = job.result?[member]?.stringValue, let reference = VersionReference(text),
            let number = reference.version
        else { return nil }
        return try VersionRow.find(reference.model, number, db)
    }

    private static func unrecorded(_ row: VersionRow) -> JobFailure {
        JobFailure(
            .missing, "how \(row.model)@\(row.number) was made is not recorded",
            hint: "use an approximate method, such as npo, simnpo or graddiff")
    }
}
