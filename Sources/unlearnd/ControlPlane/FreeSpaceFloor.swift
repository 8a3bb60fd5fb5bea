// SPDX-License-Identifier: Apache-2.0

/// How much of the state directory's file system stays free: jobs that write are refused where it would become less.
package enum FreeSpaceFloor: Hashable, Sendable {
    case bytes(Int64)
    /// Of the whole file system.
    case percent(Double)

    /// The floor of a file system of so many bytes.
    package func bytes(of total: Int64) -> Int64 {
        switch self {
        case .bytes(let bytes): bytes
        case .percent(let percent): Int64(Double(total) * percent / 100)
        }
    }
}
