// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The rules of a specification that need nothing but the specification.
enum SpecRules {
    /// - Throws: `invalid_params` with the member that is wrong.
    static func check(_ spec: JobSpec) throws(RPCError) {
        guard spec.sweep == nil else {
            throw fault(
                "sweep", "a job's place in a sweep is the daemon's to write",
                "leave the member out, or submit a sweep with job.sweep")
        }
        guard spec.kind != .publish else {
            throw fault(
                "kind", "the daemon itself publishes, at each move of the head",
                "begin it with: unlearnctl model publish MODEL TARGET")
        }
        if let need = spec.need, !spec.kind.unlearns {
            throw fault(
                "need", "\(spec.kind.rawValue) forgets nothing, so it has no need \(need.rawValue)",
                "leave it out")
        }
        try checkCommon(spec)
        try checkData(spec)
        try checkNames(spec)
        try checkDevice(spec)
        try checkRanges(spec.kind, spec.parameters ?? JobParameters())
        try checkPlace(spec.parameters ?? JobParameters())
        try checkRanks(spec)
        try checkShards(spec)
        try checkEdits(spec)
        try checkFacts(spec)
        try checkAttacks(spec)
        try checkGate(spec)
    }

    static func fault(_ field: String, _ message: String, _ hint: String? = nil) -> RPCError {
        RPCError(.invalidParams, message, hint: hint, field: "spec." + field)
    }

    private static func checkCommon(_ spec: JobSpec) throws(RPCError) {
        if spec.kind == .verify || spec.kind == .optimize || spec.kind.copiesStore {
            if let model = spec.model {
                throw fault(
                    "model", "\(spec.kind.rawValue) is about the whole store, not about \(model)",
                    "leave the model out")
            }
            if spec.kind.copiesStore, spec.parameters?.target == nil {
                throw fault(
                    "parameters.target", "\(spec.kind.rawValue) needs a backup target",
                    "name one of backup_targets in the configuration")
            }
            if let parameters = spec.parameters, parameters.sample != nil, parameters.seconds != nil {
                throw fault(
                    "parameters.seconds",
                    "a sample is drawn anew each time, so nothing goes on where it stopped",
                    "give sample or seconds")
            }
        } else {
            guard let model = spec.model else {
                throw fault("model", "\(spec.kind.rawValue) needs a model", "name one with --model NAME")
            }
            if [.import, .create, .retrain].contains(spec.kind), model.version != nil {
                throw fault(
                    "model",
                    "\(spec.kind.rawValue) makes a new version of \(model.model), so no version can be named",
                    "write \(model.model) alone")
            }
        }
        if let priority = spec.priority, !(-100...100).contains(priority) {
            throw fault("priority", "priority is \(priority); it lies between -100 and 100")
        }
        if let retries = spec.retries {
            guard (0...JobSpec.mostRetries).contains(retries) else {
                throw fault("retries", "a job is tried again 0 to \(JobSpec.mostRetries) times")
            }
            if retries > 0, spec.parameters?.transfer != nil {
                throw fault(
                    "retries",
                    "the files of \(spec.kind.rawValue) are read once, so it cannot be tried again",
                    "leave it out, and submit it again if it fails")
            }
        }
        if let deadline = spec.deadline, let at = spec.at, deadline <= at {
            throw fault("deadline", "the deadline \(deadline) is not after the earliest start, \(at)")
        }
        if let key = spec.key, key.isEmpty || key.utf8.count > 255 {
            throw fault("key", "a key has 1 to 255 bytes")
        }
        if let note = spec.note, note.utf8.count > 4096 {
            throw fault("note", "a note has at most 4096 bytes")
        }
        if let labels = spec.labels {
            guard labels.count <= 64,
                labels.allSatisfy({ (1...63).contains($0.key.utf8.count) && $0.value.utf8.count <= 255 })
            else {
                throw fault(
                    "labels",
                    "there are at most 64 labels, with names of 1 to 63 and values of up to 255 bytes")
            }
        }
        if let lease = spec.reviewLease {
            guard spec.kind.unlearns else {
                throw fault(
                    "review_lease", "\(spec.kind.rawValue) forgets nothing that could be measured again",
                    "leave it out")
            }
            guard lease >= 0, lease <= JobSpec.longestLease else {
                throw fault(
                    "review_lease", "a review lease lasts from 0 to \(Int(JobSpec.longestLease)) seconds",
                    "give seconds, 0 for none")
            }
        }
        let after = spec.after ?? []
        guard after.count <= 64 else { throw fault("after", "a job waits for at most 64 others") }
        guard Set(after.map(\.job)).count == after.count else { throw fault("after", "a job is named twice") }
    }

    /// Refuses parameters that the kind does not read.
    private static func checkNames(_ spec: JobSpec) throws(RPCError) {
        guard let parameters = spec.parameters, let given = try? JSONValue(encoding: parameters).objectValue
        else { return }
        let names = JobParameters.names(for: spec.kind)
        for member in given.members where !member.value.isNull && !names.contains(member.key) {
            let known =
                names.isEmpty
                ? "it takes no parameters" : "it takes \(names.sorted().joined(separator: ", "))"
            throw fault(
                "parameters.\(member.key)", "\(spec.kind.rawValue) has no parameter \(member.key)", known)
        }
    }
}
