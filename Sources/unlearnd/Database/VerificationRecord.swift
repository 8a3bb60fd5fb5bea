// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// What verifications have found and where the next one goes on; kept over restarts.
struct VerificationRecord: Codable, Hashable, Sendable {
    var last: VerificationRun?
    /// When the last pass that decoded and hashed every object ended.
    var whole: Timestamp?
    var damage: VerificationRun?
    var unfinished: VerificationPass?
    /// When the schedule asked last.
    var scheduled: Timestamp?

    private static let key = "verification"

    /// What is known; nothing where no verification has ended.
    static func read(_ db: Database) throws -> VerificationRecord {
        guard
            let text = try String.fetchOne(
                db, cached: "SELECT value FROM setting WHERE key = ?", arguments: [key])
        else { return VerificationRecord() }
        return try JSONColumn.decode(text)
    }

    func write(in change: Change) throws {
        try Setting.put(Self.key, try JSONColumn.text(self) ?? "null", in: change)
    }

    /// Where a verification begins: behind the last object of an unfinished pass at its level, if it has a time limit.
    func start(of parameters: JobParameters?) -> Digest? {
        guard parameters?.seconds != nil, let pass = unfinished, pass.level == Self.level(of: parameters)
        else { return nil }
        return pass.after
    }

    private static func level(of parameters: JobParameters?) -> String {
        parameters?.quick == true ? "quick" : "full"
    }

    /// Takes in what a verification found: its record, a warning that names the versions, an audit row.
    ///
    /// - Returns: What the worker said, with the versions by name.
    static func note(_ result: JSONValue, of claim: Claim, in change: Change) throws -> JSONValue {
        guard var object = result.objectValue else { return result }
        var record = try read(change.db)
        let parameters = claim.spec.parameters
        let level = level(of: parameters)
        let names = try names(change.db)
        var affected: Set<VersionReference> = []
        for member in ["corrupt", "missing"] {
            object[member] = .array(
                (object[member]?.arrayValue ?? []).map { entry in
                    guard var entry = entry.objectValue else { return entry }
                    let versions = (entry["manifests"]?.arrayValue ?? []).flatMap {
                        $0.stringValue.flatMap(Digest.init(hex:)).flatMap { names[$0] } ?? []
                    }
                    affected.formUnion(versions)
                    entry["versions"] = .array(versions.map { .string($0.description) })
                    return .object(entry)
                })
        }
        let versions = affected.sorted { $0.description < $1.description }
        object["versions"] = .array(versions.map { .string($0.description) })
        func number(_ name: String) -> Int { Int(object[name]?.integerValue ?? 0) }
        func count(_ name: String) -> Int { object[name]?.arrayValue?.count ?? 0 }
        let stopped = object["stopped_at"]?.stringValue.flatMap(Digest.init(hex:))
        let run = VerificationRun(
            job: claim.id, time: change.now, level: level, objects: number("objects"), total: number("total"),
            complete: stopped == nil, scheduled: parameters?.scheduled == true,
            corrupt: count("corrupt") + count("corrupt_datasets"), missing: count("missing"),
            versions: Array(versions.prefix(1000)))
        record.take(run, parameters, stopped, position: number("position"), now: change.now)
        try record.write(in: change)
        if run.corrupt + run.missing > 0 {
            let text = words(run)
            try JobRow.warn(claim.id, [text], in: change)
            try change.record(.warning, job: claim.id, ["message": .string(text)])
        }
        try change.audit(
            "store.verify", actor: claim.submitter,
            [
                "job": .integer(Int64(claim.id)), "level": .string(level),
                "objects": .integer(Int64(run.objects)), "of": .integer(Int64(run.total)),
                "complete": .bool(run.complete), "corrupt": .integer(Int64(run.corrupt)),
                "missing": .integer(Int64(run.missing)),
            ])
        return .object(object)
    }

    private mutating func take(
        _ run: VerificationRun, _ parameters: JobParameters?, _ stopped: Digest?, position: Int,
        now: Timestamp
    ) {
        let isSound = run.corrupt + run.missing == 0
        last = run
        if !isSound { damage = run }
        // What is drawn by chance says nothing of the rest.
        guard parameters?.sample == nil else { return }
        let goesOn = start(of: parameters) != nil
        let wasDamaged = goesOn && unfinished?.damaged == true
        if let stopped {
            unfinished = VerificationPass(
                level: run.level, began: goesOn ? unfinished?.began ?? now : now, after: stopped,
                done: position, total: run.total, damaged: wasDamaged || !isSound)
            return
        }
        unfinished = nil
        if run.level == "full" { whole = now }
        if isSound, !wasDamaged, run.level == "full" || damage?.level == "quick" { damage = nil }
    }

    /// What a run found, for people.
    private static func words(_ run: VerificationRun) -> String {
        var parts: [String] = []
        if run.corrupt > 0 { parts.append("\(run.corrupt) damaged") }
        if run.missing > 0 { parts.append("\(run.missing) missing") }
        let shown = run.versions.prefix(20).map(\.description).joined(separator: ", ")
        let more = run.versions.count > 20 ? " and \(run.versions.count - 20) more" : ""
        return "the store is damaged: objects \(parts.joined(separator: ", ")); "
            + (shown.isEmpty ? "no version needs them" : "versions that need them: \(shown)\(more)")
    }

    /// The live versions of each manifest.
    private static func names(_ db: Database) throws -> [Digest: [VersionReference]] {
        try VersionRow.everything(db).reduce(into: [:]) { names, row in
            if !row.isGone { names[row.manifest, default: []].append(row.reference) }
        }
    }
}
