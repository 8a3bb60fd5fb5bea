// SPDX-License-Identifier: Apache-2.0

import Protocol
import Synchronization

/// When the uploads that are being stored began: their objects are nobody's until they are recorded.
final class OpenUploads: Sendable {
    private let starts = Mutex<(serial: Int, open: [Int: Int64])>((0, [:]))

    /// An upload begins; the ticket ends it.
    func begin() -> Int {
        let now = Timestamp.now.milliseconds
        return starts.withLock {
            $0.serial += 1
            $0.open[$0.serial] = now
            return $0.serial
        }
    }

    func end(_ ticket: Int) { starts.withLock { $0.open[ticket] = nil } }

    /// When the oldest one began, milliseconds since 1970.
    var oldest: Int64? { starts.withLock { $0.open.values.min() } }
}
