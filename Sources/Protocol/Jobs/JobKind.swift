// SPDX-License-Identifier: Apache-2.0

/// What a job does: an unlearning method, or work around one.
package enum JobKind: String, Codable, Sendable, CaseIterable {
    // Unlearning methods: they write a version and are measured before and after.
    case ascent, graddiff, npo, simnpo, dpo, idk, altpo, rmu, undial, wga, satimp, ceu, pdu, update
    case retrain, exact
    case taskVector = "task-vector"
    case ablate
    case dampen
    // Other jobs that write a version.
    case finetune
    case create
    case `import`
    // Jobs that only read.
    case evaluate
    case attack
    case export
    case generate
    case tokenize
    case diff
    case verify
    // Jobs that copy between the store and a backup.
    case backup
    case restore
    /// Puts a model's head where serving engines read it; made by the daemon, never submitted.
    case publish
    // Work on the store.
    case optimize

    /// Whether the job commits a new version of its model; such jobs run one at a time per model.
    package var writesVersion: Bool {
        switch self {
        case .create, .import: true
        case .evaluate, .attack, .export, .generate, .tokenize, .diff, .verify, .backup, .restore, .publish,
            .optimize:
            false
        default: editsVersion
        }
    }

    /// Whether the job edits an existing version, so that a snapshot precedes it and a base is bound.
    package var editsVersion: Bool { self == .finetune || unlearns }

    /// Whether the job removes knowledge, so that it is evaluated before and after.
    package var unlearns: Bool {
        switch self {
        case .ascent, .taskVector, .ablate, .dampen, .retrain, .exact: true
        default: weighsTwoTerms
        }
    }

    /// Whether it is a gradient method whose loss is gamma · forget term + alpha · retain term.
    package var weighsTwoTerms: Bool {
        switch self {
        case .graddiff, .npo, .simnpo, .dpo, .idk, .altpo, .rmu, .undial, .wga, .satimp, .ceu, .pdu, .update:
            true
        default: false
        }
    }

    /// Whether it trains on a forget set, with or without a retain set beside it.
    package var trainsOnForgetSet: Bool { self == .ascent || weighsTwoTerms }

    /// Whether the job trains step by step, so that it can be paused and goes on from a training checkpoint.
    package var trains: Bool { trainsOnForgetSet || self == .finetune || self == .retrain }

    /// Whether an exact job can do it again without some of its rows.
    package var isRepeatable: Bool { trains }

    /// Whether it reads or heals the whole store: while it runs, nothing that a version needs is taken away.
    package var copiesStore: Bool { self == .backup || self == .restore }

    /// Whether somebody waits at a terminal for the answer: such jobs have a lane of their own, are not
    /// held by a paused queue, and are left out of plain listings.
    package var isInteractive: Bool {
        switch self {
        case .export, .generate, .tokenize, .diff, .verify, .restore: true
        default: false
        }
    }

    /// Whether the job has the lane that neither long jobs nor a paused queue hold up: where somebody waits at a terminal,
    /// and where serving engines wait for what a rollback has put right.
    package var isPrompt: Bool { isInteractive || self == .publish }
}
