// SPDX-License-Identifier: Apache-2.0

import Protocol
import Synchronization

/// The open files of jobs that wait or run; they live in this process only.
final class DescriptorTable: Sendable {
    private let sets = Mutex<[JobID: DescriptorSet]>([:])

    subscript(job: JobID) -> DescriptorSet? {
        get { sets.withLock { $0[job] } }
        set { sets.withLock { $0[job] = newValue } }
    }

    /// The jobs that have files.
    var jobs: [JobID] { sets.withLock { Array($0.keys) } }
}
