// SPDX-License-Identifier: Apache-2.0

import Client
import Protocol

/// Makes a job's specification from a file and the options beside it, and sends the datasets that it names.
struct SpecBuilder {
    let kind: JobKind
    let common: SubmitOptions
    /// Where the data to learn come from when they are not `--retain`.
    var data: String?
    /// The directory of an adapter, whose files are sent.
    var adapter: String?
    /// A file of refusals, one a line.
    var refusals: String?
    /// Attacks that the command itself names.
    var attacks: [AttackKind] = []
    /// The method's own options.
    let apply: (inout JobParameters) -> Void

    /// The specification, with every dataset checked and stored.
    /// - Throws: ``ClientError`` with status 64 or 65, before the daemon is asked anything that has an effect.
    func build(_ session: Session) throws(ClientError) -> JobSpec {
        let base = try base()
        var spec = base.spec
        if let model = common.model { spec.model = model }
        if let reference = common.reference { spec.reference = reference }
        if let gate = common.gate { spec.gate = gate }
        if let need = common.need { spec.need = need }
        if !(attacks + common.attack).isEmpty { spec.attacks = attacks + common.attack }
        if let lease = common.reviewLease { spec.reviewLease = lease.value }
        if common.noEvaluate { spec.evaluate = false }
        if let seed = common.seed { spec.seed = seed }
        if let priority = common.priority { spec.priority = priority }
        if !common.after.isEmpty { spec.after = common.after }
        if let at = common.at { spec.at = at }
        if let deadline = common.deadline { spec.deadline = deadline }
        if let retries = common.retries { spec.retries = retries }
        if let group = common.group { spec.group = group }
        if common.hold { spec.hold = true }
        if let key = common.key { spec.key = key }
        if let note = common.note { spec.note = note }
        for label in common.label {
            spec.labels = (spec.labels ?? [:]).merging([label.key: label.value]) { $1 }
        }
        var parameters = spec.parameters ?? JobParameters()
        apply(&parameters)
        if let refusals { parameters.refusals = try Self.lines(refusals) }
        spec.parameters = parameters == JobParameters() ? nil : parameters
        if data != nil, common.retain != nil {
            throw ClientError(
                .usage, "--data and --retain name the same thing here", hint: "give one of them")
        }
        // All files are read before the first is sent: a fault in the last must not leave the others behind.
        let sets = try readSets(&spec, base.sets)
        try SubmissionChecks(spec: spec, sets: sets, hasAdapter: adapter != nil).run()
        try sets.store(in: &spec, session)
        if let adapter {
            let files = ["adapter_config.json", "adapter_model.safetensors"].map {
                SourceEntry(name: $0, path: "\(adapter)/\($0)")
            }
            var parameters = spec.parameters ?? JobParameters()
            parameters.transfer = try DescriptorSender.send(files, session)
            spec.parameters = parameters
        }
        return spec
    }

    /// The lines of a text file that are not blank.
    private static func lines(_ path: String) throws(ClientError) -> [String] {
        let name = TextFile.name(path)
        guard let text = String(validating: try TextFile.read(path), as: UTF8.self) else {
            throw ClientError(.badInput, "\(name) is not UTF-8 text", hint: "write one refusal a line")
        }
        let lines = text.split(whereSeparator: \.isNewline).map(String.init).filter {
            !$0.allSatisfy(\.isWhitespace)
        }
        guard !lines.isEmpty else {
            throw ClientError(.badInput, "\(name) has no lines", hint: "write one refusal a line")
        }
        return lines
    }

    /// The sets that options, file and preset name; the preset gives what nothing else does.
    private func readSets(
        _ spec: inout JobSpec, _ given: BenchmarkPreset.Data
    ) throws(ClientError) -> BenchmarkPreset.Data {
        var sets = given
        for (name, isGiven) in [
            ("--preset-data", common.presetData != nil), ("--split", common.split != nil),
        ]
        where isGiven && common.preset == nil {
            throw ClientError(.usage, "\(name) belongs to a preset", hint: "add --preset tofu or muse")
        }
        if let preset = common.preset {
            guard let directory = common.presetData else {
                throw ClientError(
                    .usage, "the preset \(preset.rawValue) is not told where its files are",
                    hint: "add --preset-data DIRECTORY")
            }
            sets = try preset.read(for: kind, in: directory, split: common.split ?? "forget10")
            sets.forget = given.forget ?? sets.forget
            sets.retain = given.retain ?? sets.retain
            sets.holdout = given.holdout ?? sets.holdout
            if !given.utility.isEmpty { sets.utility = given.utility }
            var parameters = spec.parameters ?? JobParameters()
            if parameters.metrics == nil {
                parameters.metrics = EvaluationMetric.allCases.filter(sets.metrics.contains)
            }
            parameters.maxLength = parameters.maxLength ?? sets.maxLength
            parameters.truncate = parameters.truncate ?? sets.truncate
            spec.parameters = parameters
        }
        if let forget = common.forget { sets.forget = try DatasetArgument(forget) }
        if let retain = data ?? common.retain { sets.retain = try DatasetArgument(retain) }
        if let holdout = common.holdout { sets.holdout = try DatasetArgument(holdout) }
        for argument in common.utility {
            sets.utility.removeAll { $0.name == argument.name }
            sets.utility.append(.init(name: argument.name, data: try DatasetArgument(argument.source)))
        }
        return sets
    }

    /// The file's specification and datasets, or empty ones.
    private func base() throws(ClientError) -> (spec: JobSpec, sets: BenchmarkPreset.Data) {
        guard let path = common.spec else { return (JobSpec(kind: kind), BenchmarkPreset.Data()) }
        let name = TextFile.name(path)
        let job = try JobFile(path, kind: kind).single(name)
        guard job.spec.kind == kind else {
            throw ClientError(
                .usage, "\(name) describes a job of kind \(job.spec.kind.rawValue), not \(kind.rawValue)",
                hint: "use: unlearnctl submit \(job.spec.kind.rawValue) --spec \(name)")
        }
        return (job.spec, job.sets)
    }
}
