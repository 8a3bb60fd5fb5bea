// SPDX-License-Identifier: Apache-2.0

import Dispatch

/// Runs work that reads or writes many files on a thread of its own, so that it holds up no task.
func offloading<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(with: Result { try body() }) }
    }
}
