// SPDX-License-Identifier: Apache-2.0

import Client
import Protocol

/// What a submission must have before anything is sent: data for the method and for the gate.
struct SubmissionChecks {
    /// The specification; datasets that are not among ``sets`` are stored ones.
    let spec: JobSpec
    /// The datasets beside it.
    let sets: BenchmarkPreset.Data
    /// Whether an adapter's files come with it.
    var hasAdapter = false
    /// Whether a file says what is to be done, and not options.
    var isFile = false

    /// - Throws: ``ClientError`` with status 64 or 65.
    func run() throws(ClientError) {
        guard spec.model != nil else {
            throw ClientError(
                .usage, "no model is named",
                hint: isFile ? "add model: MODEL or MODEL@vN" : "add --model MODEL or --model MODEL@vN")
        }
        try sets.forget?.require(RowRequirement(spec.kind), for: spec.kind)
        try checkGate()
        try requireData(
            hasForget: sets.forget != nil || spec.forget != nil,
            hasRetain: sets.retain != nil || spec.retain != nil,
            hasOther: sets.holdout != nil || spec.holdout != nil || !sets.utility.isEmpty)
    }

    private func checkGate() throws(ClientError) {
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

    private func requireData(hasForget: Bool, hasRetain: Bool, hasOther: Bool) throws(ClientError) {
        let kind = spec.kind
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
            if spec.parameters?.finetuned == nil, !hasAdapter {
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
        ClientError(
            .usage, "\(spec.kind.rawValue) is not told \(thing)",
            hint: isFile
                ? "the command line has it as \(option); a file as a member of this name" : "add \(option)")
    }
}
