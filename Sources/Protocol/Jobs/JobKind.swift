// SPDX-License-Identifier: Apache-2.0

/// What a job does: an unlearning method, or work around one.
package enum JobKind: String, Codable, Sendable, CaseIterable {
    // Unlearning methods: they write a version and are measured before and after.
    case ascent
    case taskVector = "task-vector"
    // Other jobs that write a version.
    case finetune
    case create
    case `import`
    // Jobs that only read.
    case evaluate
    case export
    case generate
    case tokenize
    case diff
    case verify

    /// Whether the job commits a new version of its model; such jobs run one at a time per model.
    package var writesVersion: Bool {
        switch self {
        case .ascent, .taskVector, .finetune, .create, .import: true
        case .evaluate, .export, .generate, .tokenize, .diff, .verify: false
        }
    }

    /// Whether the job edits an existing version, so that a snapshot precedes it and a base is bound.
    package var editsVersion: Bool {
        switch self {
        case .ascent, .taskVector, .finetune: true
        default: false
        }
    }

    /// Whether the job removes knowledge, so that it is evaluated before and after.
    package var unlearns: Bool {
        switch self {
        case .ascent, .taskVector: true
        default: false
        }
    }

    /// Whether the job trains step by step, so that it can be paused and goes on from a training checkpoint.
    package var trains: Bool { JobParameters.names(for: self).contains("checkpoint_steps") }

    /// Whether somebody waits at a terminal for the answer: such jobs have a lane of their own, are not
    /// held by a paused queue, and are left out of plain listings.
    package var isInteractive: Bool {
        switch self {
        case .export, .generate, .tokenize, .diff, .verify: true
        default: false
        }
    }
}
