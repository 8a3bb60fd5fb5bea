// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import GRDB
import Logging
import Protocol

extension RPCError {
    /// The form in which an error of this program's parts leaves it.
    init(describing error: any Error) {
        switch error {
        case let error as RPCError: self = error
        case let error as CheckpointError: self.init(store: error)
        case let error as DatabaseError:
            switch error.resultCode {
            case .SQLITE_FULL:
                self.init(
                    .storageFull, "the disk of the state directory is full", hint: "free space and try again")
            case .SQLITE_CORRUPT, .SQLITE_NOTADB:
                self.init(
                    .integrity, "the database is damaged: \(error.message ?? "no detail")",
                    hint: "stop the daemon and restore a backup")
            case .SQLITE_IOERR, .SQLITE_READONLY, .SQLITE_CANTOPEN:
                self.init(
                    .internal,
                    "the disk of the state directory fails, or cannot be written: \(error.message ?? "\(error.resultCode)")",
                    hint:
                        "nothing was changed; see dmesg for what is wrong with the disk, mount it writable again "
                        + "and restart the daemon")
            default: self.init(.internal, "the database refused: \(error.message ?? "\(error.resultCode)")")
            }
        case let error as DatasetError: self.init(.badInput, error.message, hint: error.hint)
        case is CancellationError: self.init(.requestCancelled, "the request was cancelled")
        default: self.init(.internal, "\(error)")
        }
    }

    private init(store error: CheckpointError) {
        let hint = error.hint.isEmpty ? nil : error.hint
        switch error.code {
        case .storageFull: self.init(.storageFull, error.message, hint: hint)
        case .corrupt, .newerFormat, .locked: self.init(.integrity, error.message, hint: hint)
        case .missing:
            self.init(
                .integrity, error.message, hint: hint ?? "unlearnctl store verify finds what is missing")
        case .invalidInput, .sourceChanged, .unsupported, .mismatch:
            self.init(.badInput, error.message, hint: hint)
        case .ioFailure: self.init(.internal, error.message, hint: hint)
        }
    }
}

/// Runs `body` and gives its errors the form of the protocol.
func answering<T>(_ body: () async throws -> T) async throws(RPCError) -> T {
    do { return try await body() } catch { throw RPCError(describing: error) }
}
