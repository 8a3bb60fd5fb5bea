// SPDX-License-Identifier: Apache-2.0

/// What a training job can go on from: its state after a step, in a file of the state directory.
package struct TrainingCheckpoint: Codable, Hashable, Sendable {
    /// Steps that were taken.
    package var step: Int
    /// Steps planned in all.
    package var total: Int
    /// The file's size, bytes.
    package var bytes: Int64
    /// When it was written.
    package var time: Timestamp

    /// A checkpoint.
    package init(step: Int, total: Int, bytes: Int64, time: Timestamp) {
        self.step = step
        self.total = total
        self.bytes = bytes
        self.time = time
    }
}
