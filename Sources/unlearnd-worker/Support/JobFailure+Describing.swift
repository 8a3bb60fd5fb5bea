// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Engine
import Protocol

/// The job was cancelled: there is nobody to tell, and nothing to tell.
struct Cancelled: Error {}

/// The job was paused: what it would go on from is written.
struct Paused: Error {}

extension JobFailure {
    /// What an error of the modules means for the job's owner.
    init(describing error: any Error) {
        switch error {
        case let failure as JobFailure: self = failure
        case let error as CheckpointError:
            let hint = error.hint.isEmpty ? nil : error.hint
            self.init(Self.kind(of: error.code), error.message, hint: hint)
        case let error as EngineError: self.init(Self.kind(of: error.code), error.message, hint: error.hint)
        case let error as TokenizerError:
            self.init(error.code == .unsupported ? .unsupported : .badInput, error.message, hint: error.hint)
        case let error as DatasetError: self.init(.badInput, error.message, hint: error.hint)
        case let error as DivergenceError: self.init(.diverged, error.message, hint: error.hint)
        default: self.init(.internal, "\(error)")
        }
    }

    private static func kind(of code: CheckpointError.Code) -> Kind {
        switch code {
        case .invalidInput, .sourceChanged, .mismatch: .badInput
        case .unsupported, .newerFormat: .unsupported
        case .storageFull, .ioFailure: .storage
        case .corrupt, .locked: .integrity
        case .missing: .missing
        }
    }

    private static func kind(of code: EngineError.Code) -> Kind {
        switch code {
        case .invalidConfiguration, .tensorMismatch, .invalidBatch: .badInput
        case .unsupportedModel, .unsupportedMachine: .unsupported
        case .resources: .memory
        case .deviceFailure, .rankFailure: .internal
        }
    }
}
