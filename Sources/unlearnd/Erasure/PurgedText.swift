// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// Takes what people wrote and models said out of the records of jobs, and leaves numbers, digests and states.
///
/// SQLite overwrites what is replaced (`secure_delete`), but not all copies of it, and its log keeps the pages as they
/// were: the purge then has the database written anew (``StateDatabase/rewrite()``).
enum PurgedText {
    /// What stands in the place of a text.
    static let mark = "[purged]"

    /// Members whose strings are free text, in events and results.
    private static let texts: Set<String> = [
        "message", "hint", "why", "note", "notes", "text", "plain_text", "prompt", "prompts", "completion",
        "answer", "request", "system_prompt", "prompt_prefix", "prompt_suffix", "refusals",
    ]

    /// A value without free text; tokens are texts too.
    static func scrubbed(_ value: JSONValue) -> JSONValue {
        switch value {
        case .array(let elements): return .array(elements.map(scrubbed))
        case .object(let object):
            var result = JSONObject()
            for member in object.members {
                if member.key == "ids" || member.key == "input_ids" {
                    result[member.key] = .array([])
                } else if texts.contains(member.key), !isTechnical(member) {
                    result[member.key] = erased(member.value)
                } else {
                    result[member.key] = scrubbed(member.value)
                }
            }
            return .object(result)
        default: return value
        }
    }

    /// A value with every string replaced.
    private static func erased(_ value: JSONValue) -> JSONValue {
        switch value {
        case .string: return .string(mark)
        case .array(let elements): return .array(elements.map(erased))
        case .object(let object):
            var result = JSONObject()
            for member in object.members { result[member.key] = erased(member.value) }
            return .object(result)
        default: return value
        }
    }

    /// Reasons of moves that the daemon itself wrote.
    private static func isTechnical(_ member: JSONObject.Member) -> Bool {
        guard member.key == "why", let why = member.value.stringValue else { return false }
        return why == "rollback" || why.hasPrefix("job ") && JobID(why.dropFirst(4)) != nil
    }

    /// A specification without what its submitter wrote.
    private static func cleaned(_ specification: JSONValue) -> JSONValue {
        guard var spec = scrubbed(specification).objectValue else { return specification }
        spec["key"] = nil
        if var parameters = spec["parameters"]?.objectValue, let reason = parameters["reason"] {
            parameters["reason"] = erased(reason)
            spec["parameters"] = .object(parameters)
        }
        if let labels = spec["labels"] { spec["labels"] = erased(labels) }
        return .object(spec)
    }

    /// The jobs whose records hold texts of these datasets, or of these versions.
    static func jobs(datasets: Set<Digest>, versions: Set<VersionReference>, _ db: Database) throws -> [JobID]
    {
        guard !datasets.isEmpty || !versions.isEmpty else { return [] }
        var found: Set<JobID> = []
        // SQLite looks for the words, so that not every specification of a long history has to be parsed.
        let models = Set(versions.map(\.model.text))
        let words = datasets.map(\.hex) + models.map { $0 + "@" }
        let rows = try Row.fetchCursor(
            db,
            sql: """
                SELECT id, model, base, version, spec FROM job WHERE model IN (SELECT value FROM json_each(?))
                  OR EXISTS (SELECT 1 FROM json_each(?) WHERE instr(job.spec, value) > 0)
                """,
            arguments: [try JSONColumn.text(models.sorted()), try JSONColumn.text(words)])
        while let row = try rows.next() {
            let spec = try StrictJSON.parse(row["spec"] as String)
            var sets = ["forget", "retain", "holdout"].compactMap { spec[$0]?.stringValue }
            sets += spec["utility"]?.arrayValue?.compactMap { $0["dataset"]?.stringValue } ?? []
            var named = [spec["model"], spec["reference"]]
            named += ["finetuned", "base", "other", "from"].map { spec["parameters"]?[$0] }
            var references = named.compactMap { $0?.stringValue.flatMap { VersionReference($0) } }
            if let model = (row["model"] as String?).flatMap({ ModelName($0) }) {
                references += ["base", "version"].compactMap { row.version($0) }.map {
                    VersionReference(model: model, version: $0)
                }
            }
            if sets.contains(where: { Digest(hex: $0).map(datasets.contains) == true })
                || references.contains(where: versions.contains)
            {
                found.insert(row["id"])
            }
        }
        return found.sorted()
    }

    /// Takes the texts of these jobs.
    static func purge(_ jobs: [JobID], in change: Change) throws {
        let db = change.db
        for job in jobs {
            guard let row = try Row.fetchOne(db, sql: "SELECT * FROM job WHERE id = ?", arguments: [job])
            else {
                continue
            }
            func rewritten(_ column: String, _ body: (JSONValue) -> JSONValue) throws -> String? {
                try (row[column] as String?).map { body(try StrictJSON.parse($0)).serializedString() }
            }
            let isTokens = row["kind"] == JobKind.tokenize.rawValue
            try db.execute(
                sql: """
                    UPDATE job SET spec = ?, result = ?, error = ?, warnings = ?, idempotency_key = NULL,
                      idempotency_hash = NULL WHERE id = ?
                    """,
                arguments: [
                    try rewritten("spec", cleaned),
                    try rewritten("result") { isTokens ? .array([]) : scrubbed($0) },
                    try rewritten("error", scrubbed), try rewritten("warnings", erased), job,
                ])
            try db.execute(sql: "UPDATE job_log SET message = ? WHERE job = ?", arguments: [mark, job])
            try db.execute(
                sql: "UPDATE evidence SET texts = NULL, purged = ? WHERE job = ? AND texts IS NOT NULL",
                arguments: [change.now.milliseconds, job])
            try db.execute(
                sql: "UPDATE version SET note = ? WHERE job = ? AND note IS NOT NULL", arguments: [mark, job])
            try scrubEvents("job = ?", [job], db)
        }
        try purgeRequests(of: Set(jobs), db)
    }

    /// Takes what people wrote about these versions.
    static func purge(about versions: [VersionRow], in change: Change) throws {
        for row in versions {
            let place: StatementArguments = [row.model.text, row.number.number]
            for table in ["hold", "tag"] {
                try change.db.execute(sql: "DELETE FROM \(table) WHERE model = ? AND n = ?", arguments: place)
            }
            try change.db.execute(
                sql: "UPDATE version SET note = ? WHERE model = ? AND n = ? AND note IS NOT NULL",
                arguments: [mark, row.model.text, row.number.number])
            try change.db.execute(
                sql: """
                    UPDATE head_move SET why = ? WHERE model = ? AND (origin = ? OR target = ?) AND why != 'rollback'
                      AND why NOT GLOB 'job [0-9]*'
                    """,
                arguments: [mark, row.model.text, row.number.number, row.number.number])
            let number = row.number.description
            try scrubEvents(
                """
                type = 'head' AND model = ? AND (json_extract(data, '$.from') = ? OR json_extract(data, '$.to') = ?)
                """, [row.model.text, number, number], change.db)
        }
    }

    private static func scrubEvents(_ condition: String, _ arguments: StatementArguments, _ db: Database)
        throws
    {
        for row in try Row.fetchAll(
            db, sql: "SELECT seq, data FROM event WHERE \(condition)", arguments: arguments)
        {
            let text: String = row["data"]
            let clean = scrubbed(try StrictJSON.parse(text)).serializedString()
            if clean != text {
                try db.execute(
                    sql: "UPDATE event SET data = ? WHERE seq = ?", arguments: [clean, row["seq"] as Int64])
            }
        }
    }

    /// Later jobs carry the notes of the requests that they measured again.
    private static func purgeRequests(of jobs: Set<JobID>, _ db: Database) throws {
        let rows = try Row.fetchAll(
            db, sql: "SELECT id, evaluation FROM job WHERE json_array_length(evaluation, '$.earlier') > 0")
        for row in rows {
            guard var evaluation = try StrictJSON.parse(row["evaluation"] as String).objectValue,
                let earlier = evaluation["earlier"]?.arrayValue
            else { continue }
            let clean = earlier.map { entry -> JSONValue in
                guard let job = entry["job"]?.integerValue, jobs.contains(JobID(job)) else { return entry }
                return scrubbed(entry)
            }
            guard clean != earlier else { continue }
            evaluation["earlier"] = .array(clean)
            try db.execute(
                sql: "UPDATE job SET evaluation = ? WHERE id = ?",
                arguments: [JSONValue.object(evaluation).serializedString(), row["id"] as Int])
        }
    }
}
