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
        var spec = try base()
        if let model = common.model { spec.model = model }
        guard spec.model != nil else {
            throw ClientError(.usage, "no model is named", hint: "add --model MODEL or --model MODEL@vN")
        }
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
        let sets = try readSets(&spec)
        try sets.forget?.require(RowRequirement(kind), for: kind)
        try checkGate(spec, sets)
        try requireData(
            spec, hasForget: sets.forget != nil || spec.forget != nil,
            hasRetain: sets.retain != nil || spec.retain != nil,
            hasOther: sets.holdout != nil || spec.holdout != nil || !sets.utility.isEmpty)
        if let forget = sets.forget { spec.forget = try forget.store(session) }
        if let retain = sets.retain { spec.retain = try retain.store(session) }
        if let holdout = sets.holdout { spec.holdout = try holdout.store(session) }
        if !sets.utility.isEmpty {
            var utility: [UtilitySet] = []
            for extra in sets.utility { utility.append(extra.stored(as: try extra.data.store(session))) }
            spec.utility = utility
        }
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

    /// The sets that options and preset name; the preset gives what nothing else does.
    private func readSets(_ spec: inout JobSpec) throws(ClientError) -> BenchmarkPreset.Data {
        var sets = BenchmarkPreset.Data()
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
            if spec.forget != nil { sets.forget = nil }
            if spec.retain != nil { sets.retain = nil }
            if spec.holdout != nil { sets.holdout = nil }
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

    /// The file's specification, or an empty one.
    private func base() throws(ClientError) -> JobSpec {
        guard let path = common.spec else { return JobSpec(kind: kind) }
        let bytes = try TextFile.read(path)
        let name = TextFile.name(path)
        let value: JSONValue
        do { value = try StrictJSON.parse(bytes) } catch {
            throw ClientError(.badInput, "\(name) is not valid JSON: \(error)", hint: "write one JSON object")
        }
        guard case .object(var object) = value else {
            throw ClientError(
                .badInput, "\(name) holds \(value.kindName), not an object", hint: "write one JSON object")
        }
        if object["kind"] == nil { object["kind"] = .string(kind.rawValue) }
        let spec: JobSpec
        do { spec = try JSONValue.object(object).decode(JobSpec.self) } catch {
            throw ClientError(
                .badInput, "\(name): \(error)", hint: "see the members of a job: unlearnctl show JOB --json")
        }
        guard spec.kind == kind else {
            throw ClientError(
                .usage, "\(name) describes a job of kind \(spec.kind.rawValue), not \(kind.rawValue)",
                hint: "use: unlearnctl submit \(spec.kind.rawValue) --spec \(name)")
        }
        return spec
    }

    private func checkGate(_ spec: JobSpec, _ sets: BenchmarkPreset.Data) throws(ClientError) {
        guard let text = spec.gate else { return }
        var given = spec.gateData
        if sets.forget != nil { given.insert(.forget) }
        if sets.retain != nil { given.insert(.retain) }
        if sets.holdout != nil { given.insert(.holdout) }
        if !sets.utility.isEmpty { given.insert(.utility) }
        // Rows that are stored already are looked at by the daemon.
        let files = [sets.retain].compactMap(\.self) + sets.utility.map(\.data)
        let stored = [spec.retain].compactMap(\.self).count + (spec.utility?.count ?? 0)
        do {
            let gate = try Gate.parse(text)
            try gate.check(given: given)
            try gate.check(
                forget: sets.forget?.rows,
                kept: files.map(\.rows) + [[DatasetRow]?](repeating: nil, count: stored))
        } catch {
            throw ClientError(.usage, error.message, hint: error.hint)
        }
    }

    private func requireData(
        _ spec: JobSpec, hasForget: Bool, hasRetain: Bool, hasOther: Bool
    ) throws(ClientError) {
        switch kind {
        case _ where kind.trainsOnForgetSet:
            if !hasForget { throw missing("what to forget", "--forget FILE") }
            if !hasRetain, spec.needsRetain {
                let without =
                    kind == .ascent
                    ? ", or --alpha 1 to hold nothing" : kind == .pdu ? "" : ", or --alpha 0 to hold nothing"
                throw missing("what to keep", "--retain FILE\(without)")
            }
        case .retrain:
            if !hasRetain { throw missing("what to keep", "--retain FILE") }
            if spec.parameters?.from == nil, spec.parameters?.fresh != true {
                throw missing("where to begin", "--from MODEL@vN, or --fresh to begin anew")
            }
        case .exact: if !hasForget { throw missing("what to forget", "--forget FILE") }
        case .dampen:
            if !hasForget { throw missing("what to forget", "--forget FILE") }
            if !hasRetain { throw missing("what to keep", "--retain FILE") }
        case .ablate:
            if !hasForget { throw missing("what to forget", "--forget FILE") }
        case .finetune:
            if !hasRetain, !hasForget { throw missing("the data to learn", "--data FILE") }
        case .taskVector:
            if spec.parameters?.finetuned == nil, adapter == nil {
                throw missing("the fine-tuned version", "--finetuned MODEL[@vN], or --adapter DIR")
            }
        case .attack:
            if !hasForget { throw missing("what was forgotten", "--forget FILE") }
        case .evaluate:
            if !hasForget, !hasRetain, !hasOther, spec.utility?.isEmpty != false {
                throw missing("the data to measure on", "--forget, --retain, --holdout or --utility FILE")
            }
        default: break
        }
    }

    private func missing(_ thing: String, _ option: String) -> ClientError {
        ClientError(.usage, "\(kind.rawValue) is not told \(thing)", hint: "add \(option)")
    }
}
